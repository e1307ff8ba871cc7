package session

import (
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/subject"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What an agent says is within its bounds when it comes here, and is checked for
// sense, before it gets near the catalog, a path or a terminal. Its instance is never
// taken from a message.

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

func invalid(format string, args ...any) error {
	return fleet.NewProblem(fleet.ErrInvalid, format, args...)
}

// timeFrom is the zero time if nothing was sent.
func timeFrom(t *timestamppb.Timestamp) time.Time {
	if t == nil || t.CheckValid() != nil {
		return time.Time{}
	}
	return t.AsTime()
}

func progressFrom(p *pgharborv1.Progress) fleet.Progress {
	return fleet.Progress{Phase: p.GetPhase(), DoneBytes: p.GetDoneBytes(), TotalBytes: p.GetTotalBytes(),
		DoneObjects: p.GetDoneObjects(), TotalObjects: p.GetTotalObjects()}
}

func statusFrom(s *pgharborv1.AgentStatus) fleet.AgentStatus {
	status := fleet.AgentStatus{
		ServerVersion: s.GetServerVersion(), DumpVersion: s.GetPgDumpVersion(),
		BackupsEnabled: s.GetBackupsEnabled(), Schedule: s.GetSchedule(), Timezone: s.GetTimezone(),
		NextRunAt: timeFrom(s.GetNextRunAt()), NextPurgeAt: timeFrom(s.GetNextPurgeAt()),
		RetentionDays: int(s.GetRetentionDays()), KeepLast: int(s.GetKeepLast()),
		VerifySchedule: s.GetVerifySchedule(), NextVerifyAt: timeFrom(s.GetNextVerifyAt()), ScrubDays: int(s.GetScrubDays()),
		Encrypting: s.GetEncrypting(), Warnings: s.GetWarnings(),
		FolderWarning: s.GetFolderTrouble(), RetentionBlocked: s.GetRetentionBlocked(), KeyWarning: s.GetKeyWarning(),
		CertificateEndsAt: timeFrom(s.GetCertificateEndsAt()), CertificateLife: s.GetCertificateLife().AsDuration(),
	}
	if s != nil && s.FreeBytes != nil {
		free := s.GetFreeBytes()
		status.FreeBytes = &free
	}
	status.Policy = policyFrom(s.GetPolicy())
	for _, d := range s.GetDatabases() {
		status.Databases = append(status.Databases, fleet.InstanceDatabase{Name: d.GetName(), Covered: d.GetCovered()})
	}
	return status
}

// policyFrom is nil if an agent does not say.
func policyFrom(p *pgharborv1.HostPolicy) *fleet.HostPolicy {
	if p == nil {
		return nil
	}
	return &fleet.HostPolicy{
		Jobs: p.GetJobs(), Replace: p.GetReplace(), RestoreFrom: p.GetRestoreFrom(), Unproven: p.GetUnproven(),
		SuperuserRoles: p.GetSuperuserRoles(), TrustContent: p.GetTrustContent(), ReleaseHostHolds: p.GetReleaseHostHolds(), Warning: p.GetTrouble(),
	}
}

func runFrom(instance string, r *pgharborv1.Run) (fleet.Run, error) {
	run := fleet.Run{
		ID: r.GetId(), Instance: instance, Database: r.GetDatabase(), Trigger: r.GetTrigger(), State: r.GetState(),
		StartedAt: timeFrom(r.GetStartedAt()), FinishedAt: timeFrom(r.GetFinishedAt()), Error: r.GetError(),
		Warnings: r.GetWarnings(), BackupID: r.GetBackupId(), JobID: r.GetJobId(), SizeBytes: r.GetSizeBytes(),
	}
	switch {
	case !fleet.ValidID(run.ID):
		return run, invalid("%.64q is no id of a run", run.ID)
	case (run.BackupID != "" && !fleet.ValidID(run.BackupID)) || (run.JobID != "" && !fleet.ValidID(run.JobID)):
		return run, invalid("run %s names the backup %.64q and the job %.64q", run.ID, run.BackupID, run.JobID)
	case run.Database == "":
		return run, invalid("run %s has no database", run.ID)
	case run.State != fleet.RunRunning && run.State != fleet.RunSucceeded && run.State != fleet.RunFailed:
		return run, invalid("run %s has the state %.64q", run.ID, run.State)
	case run.StartedAt.IsZero() || (run.State != fleet.RunRunning && run.FinishedAt.IsZero()):
		return run, invalid("run %s lacks a time", run.ID)
	}
	return run, nil
}

func backupFrom(instance string, b *pgharborv1.Backup) (fleet.Backup, error) {
	backup := fleet.Backup{
		ID: b.GetId(), Instance: instance, Kind: b.GetKind(), Subject: b.GetSubject(), Database: b.GetDatabase(), State: fleet.BackupPresent,
		CreatedAt: timeFrom(b.GetCreatedAt()), Complete: b.GetComplete(), SizeBytes: b.GetSizeBytes(),
		Retention: fleet.Retention{
			Status: b.GetRetention().GetStatus(), ExpiresAt: timeFrom(b.GetRetention().GetExpiresAt()), Reason: b.GetRetention().GetReason(),
		},
		Manifest: manifestFrom(b), Findings: findingsFrom(b),
	}
	if b.GetState() == fleet.BackupDamaged {
		backup.State = fleet.BackupDamaged
	}
	switch {
	case !fleet.ValidID(backup.ID):
		return backup, invalid("%.64q is no id of a backup", backup.ID)
	case proto.Size(b) > maxBackup:
		return backup, invalid("backup %s: %d bytes, and %d are taken", backup.ID, proto.Size(b), maxBackup)
	case !validWord(backup.Kind) || !validWord(backup.Subject):
		return backup, invalid("backup %s is of the kind %.64q and the subject %.64q", backup.ID, backup.Kind, backup.Subject)
	case !validFilename(backup.Manifest.Filename):
		return backup, invalid("backup %s has the file name %.64q", backup.ID, backup.Manifest.Filename)
	case backup.CreatedAt.IsZero() || !sha256Hex.MatchString(backup.Manifest.SHA256):
		return backup, invalid("backup %s lacks its time, size or hash", backup.ID)
	}
	if _, err := subject.Read(backup.Subject, backup.Database); err != nil {
		return backup, invalid("backup %s: %v", backup.ID, err)
	}
	return backup, nil
}

// validWord: what the kind or the subject of a backup may be called. One that is not known here may be a newer agent's.
func validWord(word string) bool {
	return !strings.ContainsFunc(word, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' })
}

func findingsFrom(b *pgharborv1.Backup) fleet.Findings {
	return fleet.Findings{
		Held: b.GetHeld(), HoldReason: b.GetHoldReason(), HeldBy: b.GetHeldBy(),
		ScrubbedAt: timeFrom(b.GetScrubbedAt()), Damage: b.GetDamage(), TestRestore: testRestoreFrom(b.GetProof()),
	}
}

// testRestoreFrom is the zero TestRestore if none was sent, or one that says nothing.
func testRestoreFrom(p *pgharborv1.Proof) fleet.TestRestore {
	if (p.GetState() != fleet.TestRestoreSucceeded && p.GetState() != fleet.TestRestoreFailed) || timeFrom(p.GetFinishedAt()).IsZero() {
		return fleet.TestRestore{}
	}
	return fleet.TestRestore{
		State: p.GetState(), FinishedAt: timeFrom(p.GetFinishedAt()), ServerVersion: p.GetServerVersion(), Method: p.GetMethod(),
		RestoreTook: p.GetRestoreTook().AsDuration(), Took: p.GetTook().AsDuration(),
		Tables: int(p.GetTables()), Rows: p.GetRows(), Differences: p.GetDifferences(), Refuses: p.GetRefuses(),
	}
}

// validFilename: the base name of a backup, which the CLI may save under.
func validFilename(name string) bool {
	return strings.HasPrefix(name, "backup-") && len(name) <= 255 &&
		!strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == '/' || c == '\\' || c == 0x7f })
}

func manifestFrom(b *pgharborv1.Backup) fleet.Manifest {
	m := fleet.Manifest{
		Filename: b.GetFilename(), SHA256: b.GetSha256(), Encrypted: b.GetEncrypted(), Format: b.GetFormat(),
		Compression: b.GetCompression(), Encryption: b.GetEncryption(),
		PlainSizeBytes: b.GetPlainSizeBytes(), PlainSHA256: b.GetPlainSha256(), RunID: b.GetRunId(), Trigger: b.GetTrigger(),
		ServerVersion: b.GetServerVersion(), DumpVersion: b.GetPgDumpVersion(), Encoding: b.GetEncoding(),
		Collation: b.GetCollation(), CType: b.GetCtype(), StartedAt: timeFrom(b.GetStartedAt()), Warnings: b.GetWarnings(),
		Sequence: b.GetSequence(), PreviousSHA256: b.GetPreviousSha256(), SignedBy: b.GetSignedBy(),
		UnprovenOrigin: b.GetUnprovenOrigin(), DependsOn: b.GetDependsOn(),
	}
	for _, t := range b.GetTables() {
		m.Tables = append(m.Tables, fleet.TableRows{Schema: t.GetSchema(), Name: t.GetName(), Rows: t.GetRows()})
	}
	if g := b.GetGlobals(); g != nil {
		m.Globals = &fleet.Globals{
			Filename: g.GetFilename(), SizeBytes: g.GetSizeBytes(), SHA256: g.GetSha256(),
			Passwords: g.GetPasswords(), Roles: g.GetRoles(),
		}
	}
	return m
}

func resultFrom(f *pgharborv1.JobFinished) (fleet.JobResult, error) {
	result := fleet.JobResult{
		State: fleet.JobState(f.GetState()), Error: f.GetError(), Failure: f.GetFailure(),
		Restore: restoreFrom(f.GetRestore()), Checks: checksFrom(f.GetChecks()), Warnings: f.GetWarnings(),
	}
	switch result.State {
	case fleet.JobSucceeded, fleet.JobFailed, fleet.JobCancelled:
		return result, nil
	default:
		return result, invalid("job %.64q ended as %.64q", f.GetJobId(), f.GetState())
	}
}

func checksFrom(checks []*pgharborv1.RestoreCheck) []fleet.PreflightCheck {
	var all []fleet.PreflightCheck
	for _, c := range checks {
		all = append(all, fleet.PreflightCheck{Name: c.GetName(), Result: c.GetResult(), Detail: c.GetDetail(), Remedy: c.GetRemedy()})
	}
	return all
}

func restoreFrom(o *pgharborv1.RestoreOutcome) *fleet.RestoreOutcome {
	if o == nil {
		return nil
	}
	return &fleet.RestoreOutcome{
		RestoreID: o.GetRestoreId(), Displaced: o.GetKeptDatabase(), DisplacedUntil: timeFrom(o.GetKeptUntil()), UndoneAt: timeFrom(o.GetUndoneAt()),
	}
}

func restoreSpecOf(spec fleet.JobSpec) *pgharborv1.RestoreSpec {
	return &pgharborv1.RestoreSpec{
		BackupId: spec.BackupID, TargetDatabase: spec.TargetDatabase, Replace: spec.Replace, WithRoles: spec.WithRoles,
		TrustContent: spec.TrustContent,
	}
}

func offerOf(j fleet.Job) *pgharborv1.Offer {
	offer := &pgharborv1.Offer{JobId: j.ID, Deadline: timestamppb.New(j.Deadline)}
	switch j.Kind {
	case fleet.JobBackup:
		offer.Spec = &pgharborv1.Offer_Backup{Backup: &pgharborv1.BackupSpec{Database: j.Spec.Database}}
	case fleet.JobRestore:
		offer.Spec = &pgharborv1.Offer_Restore{Restore: restoreSpecOf(j.Spec)}
	case fleet.JobPreview:
		offer.Spec = &pgharborv1.Offer_Preview{Preview: restoreSpecOf(j.Spec)}
	case fleet.JobUndo:
		offer.Spec = &pgharborv1.Offer_Undo{Undo: &pgharborv1.UndoSpec{RestoreId: j.Spec.RestoreID}}
	case fleet.JobSend:
		offer.Spec = &pgharborv1.Offer_Send{Send: &pgharborv1.SendSpec{BackupId: j.Spec.BackupID, Offset: j.Spec.Offset, Whole: j.Spec.Whole}}
	case fleet.JobVerify:
		offer.Spec = &pgharborv1.Offer_Verify{Verify: &pgharborv1.VerifySpec{BackupId: j.Spec.BackupID}}
	case fleet.JobHold, fleet.JobRelease:
		offer.Spec = &pgharborv1.Offer_Hold{Hold: &pgharborv1.HoldSpec{
			BackupId: j.Spec.BackupID, Release: j.Kind == fleet.JobRelease, Reason: j.Spec.Reason, By: j.RequestedBy,
		}}
	}
	return offer
}
