package session

import (
	"context"

	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// takeScrub takes over what a look at a stored file has found. By a clock that is
// ahead, it would hide for years what is found since.
func (s *session) takeScrub(ctx context.Context, scrub *pgharborv1.BackupScrubbed) error {
	at, damage := notAfter(s.Now().UTC(), timeFrom(scrub.GetScrubbedAt())), scrub.GetDamage()
	if at.IsZero() {
		return invalid("the scrub of backup %.64q lacks its time", scrub.GetBackupId())
	}
	if damage != "" {
		s.Log.Error("a backup is damaged", "instance", s.instance, "backup", scrub.GetBackupId(), "damage", damage)
	}
	return s.Catalog.Backups.RecordScrub(ctx, s.instance, scrub.GetBackupId(), at, damage)
}

// takeTestRestore takes over how a test restore has ended.
func (s *session) takeTestRestore(ctx context.Context, tested *pgharborv1.BackupProved) error {
	testRestore := testRestoreFrom(tested.GetProof())
	if testRestore.State == "" {
		return invalid("the test restore of backup %.64q lacks its state or its time", tested.GetBackupId())
	}
	testRestore.FinishedAt = notAfter(s.Now().UTC(), testRestore.FinishedAt)
	return s.Catalog.Backups.RecordTestRestore(ctx, s.instance, tested.GetBackupId(), testRestore)
}
