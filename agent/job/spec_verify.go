package job

import (
	"context"

	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/state"
)

// VerifySpec asks for a test restore.
type VerifySpec struct{ BackupID string }

// Kind implements Spec.
func (VerifySpec) Kind() string { return "verify" }

func (s VerifySpec) check() error { return checkBackupID(s.BackupID) }

func (s VerifySpec) about() state.About { return state.About{BackupID: s.BackupID} }

func (VerifySpec) refused(policy.Policy) string { return "" }

// run leaves it to the job's result to say how it ended. Of many jobs, one waits for a turn beside the schedule's, and keeps
// its backup from retention.
func (s VerifySpec) run(ctx context.Context, on *Runner, task *task) error {
	release, err := acquire(ctx, on.askedProofs)
	if err != nil {
		return err
	}
	defer release()
	stored, err := on.findToVerify(s.BackupID)
	if err != nil {
		return err
	}
	task.result.About.Database = stored.Database
	_, err = on.putToTheTest(ctx, stored, task.progress)
	return err
}
