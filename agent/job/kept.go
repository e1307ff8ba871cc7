package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/internal/disk"
	"github.com/pgharbor/pgharbor/internal/pause"
)

// Kept is a database that a restore replaced, or after an undo the restored one,
// and for how long it is kept. It is written before the databases are exchanged:
// whether they were is always asked of the server, so that no crash can come
// between the two.
type Kept struct {
	RestoreID string `json:"restore_id"`
	JobID     string `json:"job_id,omitempty"` // of the control plane, where that asked for it
	backup.Replacement
	// ReplacedAt is zero until the server was seen to have exchanged the two.
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
	UndoneAt   time.Time `json:"undone_at,omitzero"`
	// Until is zero where it is kept until it is dropped by hand.
	Until time.Time `json:"until,omitzero"`
	// Undated: the clock was suspect when Until was set, which is set anew when the clock is trusted.
	Undated bool `json:"undated,omitempty"`
}

// inPlace says that the server was seen to have exchanged the two.
func (k *Kept) inPlace() bool { return k != nil && !k.ReplacedAt.IsZero() }

// Name is that of the database that is kept.
func (k Kept) Name() string {
	if !k.UndoneAt.IsZero() {
		return k.NewName
	}
	return k.OldName
}

// lockEvery is how often a lock is tried that somebody holds.
const lockEvery = 100 * time.Millisecond

// keepers is the folder of the records, a file each.
func (s *State) keepers() string { return filepath.Join(s.dir, "kept") }

// lockKept makes this the one who exchanges or drops databases that are kept,
// and waits for another until ctx ends. It works between processes too.
func (s *State) lockKept(ctx context.Context) (release func(), err error) {
	if err := os.MkdirAll(s.keepers(), 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	for {
		f, err := openLocked(filepath.Join(s.keepers(), "lock"), disk.TryLock)
		if err == nil {
			return func() { _ = f.Close() }, nil // nothing was written to it
		}
		if !errors.Is(err, disk.ErrLocked) {
			return nil, fmt.Errorf("state folder: %w", err)
		}
		if !pause.For(ctx, lockEvery) {
			return nil, fmt.Errorf("another restore or undo is exchanging databases: %w", err)
		}
	}
}

// saveKept writes a record durably, in the place of an earlier one.
func (s *State) saveKept(k Kept) error {
	content, err := json.Marshal(k)
	if err != nil {
		return err
	}
	f, err := writeLocked(s.keepers(), k.RestoreID+entrySuffix, content)
	if err != nil {
		return fmt.Errorf("what is kept can't be recorded in the state folder: %w", err)
	}
	return f.Close()
}

func (s *State) forgetKept(restoreID string) error {
	if err := os.Remove(filepath.Join(s.keepers(), restoreID+entrySuffix)); err != nil {
		return fmt.Errorf("record of what is kept: %w", err)
	}
	return disk.SyncFolder(s.keepers())
}

// Kept lists what restores have replaced and is kept, the newest first. Records
// that can't be read are an error beside the others.
func (s *State) Kept() ([]Kept, error) {
	files, err := os.ReadDir(s.keepers())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("records of what is kept: %w", err)
	}
	var all []Kept
	var broken error
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), entrySuffix) || strings.HasPrefix(file.Name(), ".") {
			continue
		}
		k, err := readKept(filepath.Join(s.keepers(), file.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			broken = errors.Join(broken, fmt.Errorf("record of what is kept: %w", err))
			continue
		}
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b Kept) int { return b.ReplacedAt.Compare(a.ReplacedAt) })
	return all, broken
}

func readKept(path string) (k Kept, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(content, &k); err != nil {
		return k, fmt.Errorf("%s: %w", path, err)
	}
	if k.RestoreID+entrySuffix != filepath.Base(path) {
		return k, fmt.Errorf("%s holds another record", path)
	}
	return k, nil
}

// KeptOf returns what is kept of one restore; nil where nothing is.
func (s *State) KeptOf(restoreID string) (*Kept, error) {
	if !jobID.MatchString(restoreID) {
		return nil, fmt.Errorf("%w: %q is no id of a restore", backup.ErrNotFound, restoreID)
	}
	k, err := readKept(filepath.Join(s.keepers(), restoreID+entrySuffix))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return &k, err
}
