package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Restoring returns the ids of the restores under way, of any process, and of those of
// which something is left. Records that can't be read are an error beside the others.
func (s *State) Restoring() (ids []string, err error) {
	files, err := os.ReadDir(s.records)
	if err != nil {
		return nil, fmt.Errorf("records of work: %w", err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), entrySuffix) {
			continue
		}
		content, readErr := os.ReadFile(filepath.Join(s.records, file.Name()))
		if errors.Is(readErr, fs.ErrNotExist) {
			continue // its work has ended
		}
		var record Record
		if readErr == nil {
			readErr = json.Unmarshal(content, &record)
		}
		if readErr != nil {
			err = errors.Join(err, fmt.Errorf("record of work %s: %w", file.Name(), readErr))
		} else if record.Restore != nil {
			ids = append(ids, record.Restore.ID)
		}
	}
	return ids, err
}
