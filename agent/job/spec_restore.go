package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/state"
)

// RestoreSpec asks to restore a stored backup into a database that must not exist, unless it must
// be replaced.
type RestoreSpec struct {
	BackupID, Target string
	Replace          bool
	WithRoles        string  // as in backup.RestoreRequest
	TrustContent     bool    // likewise
	Source           *Source // nil if this agent has the backup
}

// Kind implements Spec.
func (RestoreSpec) Kind() string { return "restore" }

func (s RestoreSpec) check() error {
	switch s.WithRoles {
	case "", backup.RolesMissing, backup.RolesSuperuser:
	default:
		return fmt.Errorf("%w: %.64q says nothing about roles; this agent may be older than the control plane", errSpec, s.WithRoles)
	}
	return errors.Join(checkBackupID(s.BackupID), within("database", s.Target, maxDatabase), s.Source.check())
}

func (s RestoreSpec) about() state.About {
	return state.About{Database: s.Target, BackupID: s.BackupID}
}

func (s RestoreSpec) refused(p policy.Policy) string {
	switch {
	case s.Replace && !p.Replace:
		return refusedReplace
	case s.WithRoles == backup.RolesSuperuser && !p.SuperuserRoles:
		return "that superuser roles are made"
	case s.TrustContent && !p.TrustContent:
		return "that the code in a dump runs with all the rights of the agent"
	}
	return ""
}

// claim makes sure that the restore has its id for itself.
func (s RestoreSpec) claim(ctx context.Context, on *workers, jobID string) (*state.Restore, error) {
	if err := on.restorer.ownID(ctx, jobID); err != nil {
		return nil, err
	}
	return &state.Restore{ID: jobID, Target: s.Target, Replace: s.Replace}, nil
}

func (s RestoreSpec) run(ctx context.Context, on *workers, task *task) error {
	r := on.restorer
	request, origin, done, err := r.restoreRequest(ctx, task, s)
	if err != nil {
		return err
	}
	defer done()
	if request.Confined, err = r.admission.admitAsked(ctx, task.allowed, origin, *request.Manifest); err != nil {
		return err
	}
	request.RestoreID, request.Origin = task.id, origin.Kind
	request.OnProgress = task.progress
	if task.result.Warnings, err = r.restore(ctx, request, task.id); err != nil {
		return err
	}
	kept, err := r.state.Displaced.Of(task.id)
	if err != nil {
		r.log.Error("what a restore replaced can't be told", "restore", task.id, "error", err)
	}
	task.result.Outcome = kept.Outcome()
	return nil
}
