package state

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
)

// DisplacedDatabase is a database that a restore replaced, or after an undo the restored one,
// and for how long it is kept. It is written before the databases are exchanged:
// whether they were is always asked of the server, so that no crash can come
// between the two.
type DisplacedDatabase struct {
	RestoreID string `json:"restore_id"`
	JobID     string `json:"job_id,omitempty"` // of the control plane, if that asked for it
	backup.Replacement
	// ReplacedAt is zero until the server was seen to have exchanged the two.
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
	UndoneAt   time.Time `json:"undone_at,omitzero"`
	// Until is zero if it is kept until it is dropped by hand.
	Until time.Time `json:"until,omitzero"`
	// Undated: the clock was suspect when Until was set, which is set again when the clock is trusted.
	Undated bool `json:"undated,omitempty"`
}

// InPlace reports whether the server was seen to have exchanged the two.
func (k *DisplacedDatabase) InPlace() bool { return k != nil && !k.ReplacedAt.IsZero() }

// Name is that of the database that is kept.
func (k DisplacedDatabase) Name() string {
	if !k.UndoneAt.IsZero() {
		return k.NewName
	}
	return k.OldName
}

// Outcome is what the control plane is told of it; nil if nothing is kept.
func (k *DisplacedDatabase) Outcome() *RestoreOutcome {
	if k == nil {
		return nil
	}
	return &RestoreOutcome{RestoreID: k.RestoreID, Displaced: k.Name(), Until: k.Until, UndoneAt: k.UndoneAt}
}

// LockEvery is how often a lock is tried that somebody holds.
const LockEvery = 100 * time.Millisecond

// Displaced is the folder of the databases that restores have replaced, a file
// each: `<restore id>.json`.
type Displaced struct{ dir string }

// Lock makes this the one who exchanges or drops databases that are kept,
// and waits for another until ctx ends. It works between processes too.
func (d *Displaced) Lock(ctx context.Context) (release func(), err error) {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	for {
		f, err := openLocked(filepath.Join(d.dir, "lock"), disk.TryLock)
		if err == nil {
			return func() { _ = f.Close() }, nil // nothing was written to it
		}
		if !errors.Is(err, disk.ErrLocked) {
			return nil, fmt.Errorf("state folder: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another restore or undo is exchanging databases: %w", err)
		case <-time.After(LockEvery):
		}
	}
}

// Save writes a record durably, in the place of an earlier one.
func (d *Displaced) Save(k DisplacedDatabase) error {
	content, err := json.Marshal(k)
	if err != nil {
		return err
	}
	f, err := writeLocked(d.dir, k.RestoreID+entrySuffix, content)
	if err != nil {
		return fmt.Errorf("what is kept can't be recorded in the state folder: %w", err)
	}
	return f.Close()
}

// Forget removes a record durably.
func (d *Displaced) Forget(restoreID string) error {
	if err := os.Remove(filepath.Join(d.dir, restoreID+entrySuffix)); err != nil {
		return fmt.Errorf("record of what is kept: %w", err)
	}
	return disk.SyncFolder(d.dir)
}

// All lists what restores have replaced and is kept, the newest first. Records that can't be read
// are an error besides the others.
func (d *Displaced) All() ([]DisplacedDatabase, error) {
	files, err := os.ReadDir(d.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("records of what is kept: %w", err)
	}
	var all []DisplacedDatabase
	var broken error
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), entrySuffix) || strings.HasPrefix(file.Name(), ".") {
			continue
		}
		k, err := readDisplaced(filepath.Join(d.dir, file.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			broken = errors.Join(broken, fmt.Errorf("record of what is kept: %w", err))
			continue
		}
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b DisplacedDatabase) int { return b.ReplacedAt.Compare(a.ReplacedAt) })
	return all, broken
}

func readDisplaced(path string) (k DisplacedDatabase, err error) {
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

// Of returns what is kept of one restore; nil if nothing is.
func (d *Displaced) Of(restoreID string) (*DisplacedDatabase, error) {
	if !ValidJobID(restoreID) {
		return nil, fmt.Errorf("%w: %q is no id of a restore", backup.ErrNotFound, restoreID)
	}
	k, err := readDisplaced(filepath.Join(d.dir, restoreID+entrySuffix))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return &k, err
}
