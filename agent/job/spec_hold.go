package job

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/state"
)

// HoldSpec asks to keep a backup from retention, or with Release to no longer do
// so.
type HoldSpec struct {
	BackupID string
	Release  bool
	Reason   string
	By       string // "user:NAME"
}

// Kind implements Spec.
func (s HoldSpec) Kind() string {
	if s.Release {
		return "release"
	}
	return "hold"
}

func (s HoldSpec) check() error {
	return errors.Join(checkBackupID(s.BackupID), within("reason", s.Reason, maxReason), within("person", s.By, maxPerson))
}

func (s HoldSpec) about() state.About { return state.About{BackupID: s.BackupID} }

func (HoldSpec) refused(policy.Policy) string { return "" }

// run does what the control plane asks for. A hold that was set on this
// host it neither ends nor puts another in its place of, unless the host allows that.
func (s HoldSpec) run(_ context.Context, on *Runner, task *task) error {
	return on.hold(s.BackupID, func(held *backup.Hold) error {
		if held != nil && held.OnHost && !task.allowed.ReleaseHostHolds {
			return on.notAllowed("that a hold which was set there is changed")
		}
		if s.Release {
			return on.Engine.Release(s.BackupID)
		}
		return on.Engine.Hold(s.BackupID, backup.Hold{Reason: s.Reason, By: s.By, HeldAt: on.Now().UTC()})
	})
}

// HoldHere keeps a backup from retention until ReleaseHere, by the word of
// somebody on this host.
func (r *Runner) HoldHere(backupID, by, reason string) error {
	return r.hold(backupID, func(*backup.Hold) error {
		return r.Engine.Hold(backupID, backup.Hold{Reason: reason, By: by, OnHost: true, HeldAt: r.Now().UTC()})
	})
}

// ReleaseHere ends the hold of a backup, wherever that was set.
func (r *Runner) ReleaseHere(backupID string) error {
	return r.hold(backupID, func(*backup.Hold) error { return r.Engine.Release(backupID) })
}

// hold changes the hold of a backup, which nobody else removes, holds or releases between the
// look and the mark.
func (r *Runner) hold(backupID string, change func(held *backup.Hold) error) error {
	release, err := r.alone()
	if err != nil {
		return err
	}
	defer release()
	defer r.inventoryHasChanged()
	stored, err := r.Engine.Find(backupID)
	if err != nil {
		return err
	}
	return change(stored.Hold)
}

// alone makes this the one who removes, holds or releases backups, of all processes on the state folder: people on the host hold by
// one of their own. Between the look at a hold and what follows from it, there is to be no other.
func (r *Runner) alone() (release func(), err error) {
	r.removing.Lock()
	unlock, err := r.State.LockHolds()
	if err != nil {
		r.removing.Unlock()
		return nil, err
	}
	return func() {
		unlock()
		r.removing.Unlock()
	}, nil
}
