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
func (s HoldSpec) run(_ context.Context, on *workers, task *task) error {
	return on.holds.change(s.BackupID, func(held *backup.Hold) error {
		if held != nil && held.OnHost && !task.allowed.ReleaseHostHolds {
			return on.holds.admission.notAllowed("that a hold which was set there is changed")
		}
		if s.Release {
			return on.holds.files.Release(s.BackupID)
		}
		return on.holds.files.Hold(s.BackupID, backup.Hold{Reason: s.Reason, By: s.By, HeldAt: on.holds.clock.Now().UTC()})
	})
}
