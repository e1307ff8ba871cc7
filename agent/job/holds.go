package job

import (
	"sync"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

// heldFiles are the stored backups, for holds.
type heldFiles interface {
	Find(id string) (backup.Stored, error)
	Hold(id string, hold backup.Hold) error
	Release(id string) error
}

// Holds keeps backups from retention.
type Holds struct {
	files     heldFiles
	clock     *Clock
	inventory *InventoryReader
	admission *admission
	lock      *removalLock
}

// HoldHere keeps a backup from retention until ReleaseHere, by the word of
// somebody on this host.
func (h *Holds) HoldHere(backupID, by, reason string) error {
	return h.change(backupID, func(*backup.Hold) error {
		return h.files.Hold(backupID, backup.Hold{Reason: reason, By: by, OnHost: true, HeldAt: h.clock.Now().UTC()})
	})
}

// ReleaseHere ends the hold of a backup, wherever that was set.
func (h *Holds) ReleaseHere(backupID string) error {
	return h.change(backupID, func(*backup.Hold) error { return h.files.Release(backupID) })
}

// change changes the hold of a backup, which nobody else removes, holds or releases between the
// look and the mark.
func (h *Holds) change(backupID string, to func(held *backup.Hold) error) error {
	release, err := h.lock.take()
	if err != nil {
		return err
	}
	defer release()
	defer h.inventory.announce()
	stored, err := h.files.Find(backupID)
	if err != nil {
		return err
	}
	return to(stored.Hold)
}

// removalLock is held by the one who removes, holds or releases backups.
type removalLock struct {
	state *state.Folder // keeps processes apart
	mu    sync.Mutex    // keeps goroutines apart
}

// take makes this the one who removes, holds or releases backups, of all processes on the state
// folder: people on the host hold by one of their own. Between the look at a hold and what follows
// from it, there is to be no other.
func (l *removalLock) take() (release func(), err error) {
	l.mu.Lock()
	unlock, err := l.state.LockHolds()
	if err != nil {
		l.mu.Unlock()
		return nil, err
	}
	return func() {
		unlock()
		l.mu.Unlock()
	}, nil
}
