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

// run leaves it to the job's result to say how it ended. Of many jobs, one waits for a turn in
// addition to the schedule's, and keeps its backup from retention.
func (s VerifySpec) run(ctx context.Context, on *workers, task *task) error {
	release, err := on.askedVerifications.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	stored, err := on.verifier.findToVerify(s.BackupID)
	if err != nil {
		return err
	}
	task.result.About.Database = stored.Database
	_, err = on.verifier.testRestore(ctx, stored, task.progress)
	return err
}
