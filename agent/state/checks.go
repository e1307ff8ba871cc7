package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/internal/disk"
)

// CheckState is what the agent has found out about a stored backup since it was made.
type CheckState struct {
	// ScrubbedAt is when its file was last read again, UTC; zero: never.
	ScrubbedAt time.Time `json:"scrubbed_at,omitzero"`
	// Damage is what was wrong with the file then; "" for nothing.
	Damage string `json:"damage,omitempty"`
	// TestRestore is its newest test restore; nil: there was none.
	TestRestore *backup.Proof `json:"proof,omitempty"`
}

// Checks is the folder in which the checks of backups are remembered, a file
// each: `<backup id>.json`. Several processes may write to it.
type Checks struct{ dir string }

func openChecks(dir string) (*Checks, error) {
	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	c := &Checks{dir: dir}
	return c, c.locked(func() error { return removeTemporary(dir) })
}

// All returns what is known of each backup, by id. An error names what could not
// be read; the map holds the rest.
func (c *Checks) All() (map[string]CheckState, error) {
	all := map[string]CheckState{}
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return all, fmt.Errorf("checks: %w", err)
	}
	var unread error
	for _, file := range files {
		id, ok := strings.CutSuffix(file.Name(), entrySuffix)
		if !ok || !entryID.MatchString(id) {
			continue
		}
		check, err := c.Of(id)
		if err != nil {
			unread = errors.Join(unread, err)
			continue
		}
		all[id] = check
	}
	return all, unread
}

// Update changes what is known of a backup, durably.
func (c *Checks) Update(id string, change func(*CheckState)) error {
	if !entryID.MatchString(id) {
		return fmt.Errorf("checks: %q is no id of a backup", id)
	}
	return c.locked(func() error {
		// What can't be read is known no longer, and is written again.
		check, _ := c.Of(id)
		change(&check)
		content, err := json.Marshal(check)
		if err != nil {
			return fmt.Errorf("checks: %w", err)
		}
		f, err := writeLocked(c.dir, id+entrySuffix, content)
		if err != nil {
			return fmt.Errorf("checks: %w", err)
		}
		return f.Close()
	})
}

// Forget removes what is known of a backup that is no more. It need not be
// durable, since nobody asks.
func (c *Checks) Forget(id string) error {
	if !entryID.MatchString(id) {
		return nil
	}
	if err := os.Remove(filepath.Join(c.dir, id+entrySuffix)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Of returns the zero Check for a backup of which nothing is known.
func (c *Checks) Of(id string) (CheckState, error) {
	var check CheckState
	content, err := os.ReadFile(filepath.Join(c.dir, id+entrySuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return check, nil
	}
	if err != nil {
		return check, fmt.Errorf("checks: %w", err)
	}
	if err := json.Unmarshal(content, &check); err != nil {
		return CheckState{}, fmt.Errorf("checks: %s: %w", id, err)
	}
	return check, nil
}

// locked runs f while nobody else writes a check.
func (c *Checks) locked(f func() error) error {
	lock, err := openLocked(filepath.Join(c.dir, lockName), disk.Lock)
	if err != nil {
		return fmt.Errorf("checks: %w", err)
	}
	return errors.Join(f(), lock.Close())
}
