package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Records is the folder in which work under way is recorded, a file each: `<id>.json`. Anyone who
// does the work holds the lock of its file, so that a record without one is of a process that is
// gone.
type Records struct {
	dir     string
	journal *Journal // takes how the work ended
}

// Record is work under way, written before it begins, so that the next start knows what a crash was
// interrupted.
type Record struct {
	ID      string   `json:"id"`
	Run     *Run     `json:"run,omitempty"`
	Removal *Removal `json:"removal,omitempty"`
	Restore *Restore `json:"restore,omitempty"`
	// Throwaway is the folder of a throwaway server, a path.
	Throwaway string `json:"throwaway,omitempty"`
	JobID     string `json:"job_id,omitempty"` // the record is of this job of the control plane
}

// Restore is a restore under way. ID also names its temporary database.
type Restore struct {
	ID      string `json:"id"`
	Target  string `json:"target"`
	Replace bool   `json:"replace,omitempty"`
}

// Work is a record that this process answers for: it holds the lock of its file.
type Work struct {
	Record

	records *Records
	file    *os.File
}

// Begin writes a record durably. Finish ends it.
func (r *Records) Begin(record Record) (*Work, error) {
	if !entryID.MatchString(record.ID) {
		return nil, fmt.Errorf("%q is no id of a record", record.ID)
	}
	content, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("record of work: %w", err)
	}
	f, err := writeLocked(r.dir, record.ID+entrySuffix, content)
	if err != nil {
		return nil, fmt.Errorf("record of work: %w", err)
	}
	return &Work{Record: record, records: r, file: f}, nil
}

// Finish journals how the work ended and removes its record. As an
// acknowledgement can't come in between, after a crash either the record is
// gone, or the entries are pending still and are not journaled a second time.
// After an error the record stays, for the next start.
func (w *Work) Finish(entries ...Entry) error {
	journal := w.records.journal
	err := journal.locked(func() error {
		if err := journal.append(entries...); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(w.records.dir, w.ID+entrySuffix)); err != nil {
			return fmt.Errorf("record of work: %w", err)
		}
		return nil
	})
	return errors.Join(err, w.file.Close())
}

// Leave gives a record of Abandoned back, for the next who asks.
func (w *Work) Leave() error { return w.file.Close() }

// Abandoned returns the records whose process is gone; they are this one's now. Records that can't
// be read are returned as an error besides the others.
func (r *Records) Abandoned() ([]*Work, error) {
	if err := removeTemporary(r.dir); err != nil {
		return nil, fmt.Errorf("records of work: %w", err)
	}
	files, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("records of work: %w", err)
	}
	var works []*Work
	var broken error
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), entrySuffix) {
			continue
		}
		work, err := r.takeOver(filepath.Join(r.dir, file.Name()))
		if err != nil {
			broken = errors.Join(broken, fmt.Errorf("record of work: %w", err))
		}
		if work != nil {
			works = append(works, work)
		}
	}
	return works, broken
}

// takeOver returns nil and no error for a record whose process lives.
func (r *Records) takeOver(path string) (_ *Work, err error) {
	f, content, err := takeFile(path)
	if err != nil || f == nil {
		return nil, err
	}
	work := &Work{records: r, file: f}
	if err := json.Unmarshal(content, &work.Record); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	if work.ID+entrySuffix != filepath.Base(path) {
		return nil, errors.Join(fmt.Errorf("%s holds another record", path), f.Close())
	}
	return work, nil
}

// Restoring returns the ids of the restores under way, of any process, and of those of which
// something is left. Records that can't be read are an error besides the others.
func (r *Records) Restoring() (ids []string, err error) {
	files, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("records of work: %w", err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), entrySuffix) {
			continue
		}
		content, readErr := os.ReadFile(filepath.Join(r.dir, file.Name()))
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
