package job

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pgharbor/pgharbor/agent/backup"
)

// keysAtATime is how many backups are checked each time the inventory is read: a passphrase is made hard to guess, and so
// takes some hundredths of a second to try.
const keysAtATime = 5

// openable says whether a backup could be opened, as far as its manifest tells.
type openable interface {
	// CheckPassphrase returns backup.ErrNoPassphrase or backup.ErrWrongPassphrase if no passphrase at hand opens it.
	CheckPassphrase(stored []byte, m backup.Manifest) error
}

// keyCheck finds the backups that are encrypted and that this host can't open: its passphrase was lost or changed. Each
// backup is checked once, the newest first, for keys don't change while an agent runs.
type keyCheck struct {
	origins   openable
	manifests manifests
	warnings  *warnings

	mu      sync.Mutex
	checked map[string]error // by the backup's id; nil: it can be opened, or its manifest does not tell
}

// look checks some of the backups that were not checked yet, and sets the warning about all.
func (k *keyCheck) look(backups []Backup) {
	k.mu.Lock()
	defer k.mu.Unlock()
	checked := make(map[string]error, len(backups))
	var locked []Backup
	left := keysAtATime
	for _, b := range slices.Backward(backups) {
		if b.State != backup.StatePresent {
			continue
		}
		err, known := k.checked[b.ID]
		if !known {
			if left == 0 {
				continue
			}
			left--
			err = k.check(b)
		}
		checked[b.ID] = err
		if err != nil {
			locked = append(locked, b)
		}
	}
	k.checked = checked
	k.warnings.set(warnKeys, lockedText(locked, checked))
}

// check tries the passphrases on one backup. What keeps it from being read is told elsewhere.
func (k *keyCheck) check(b Backup) error {
	content, err := k.manifests.ReadManifest(b.Location)
	if err != nil {
		return nil
	}
	if err = k.origins.CheckPassphrase(content, b.Manifest); errors.Is(err, backup.ErrNoPassphrase) || errors.Is(err, backup.ErrWrongPassphrase) {
		return err
	}
	return nil
}

// lockedText says which backups can't be opened, the newest first; "" for none.
func lockedText(locked []Backup, why map[string]error) string {
	if len(locked) == 0 {
		return ""
	}
	newest := locked[0]
	return fmt.Sprintf("%d backups are encrypted and can't be opened here, the newest is %s of %q: %v", len(locked), newest.ID, newest.Database, why[newest.ID])
}
