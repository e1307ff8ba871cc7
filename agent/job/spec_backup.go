package job

import (
	"context"

	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/state"
)

// BackupSpec asks for a backup of one database, or of all that the agent covers.
type BackupSpec struct {
	Database string // empty: each that is covered, which is not a backup of the whole instance
}

// Kind implements Spec.
func (BackupSpec) Kind() string { return "backup" }

func (s BackupSpec) check() error { return within("database", s.Database, maxDatabase) }

func (s BackupSpec) about() state.About { return state.About{Database: s.Database} }

func (BackupSpec) refused(policy.Policy) string { return "" }

// run lets no more jobs wait for a turn in addition to the schedule's than there are turns, however
// many are asked for.
func (s BackupSpec) run(ctx context.Context, on *workers, task *task) error {
	release, err := on.askedRuns.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	request := Request{Trigger: state.TriggerManual, JobID: task.id, OnProgress: task.progress}
	if s.Database != "" {
		request.Databases = []string{s.Database}
	}
	return Failures(on.runs.BackUp(ctx, request))
}
