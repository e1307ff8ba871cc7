package session

import (
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What an agent says is checked here, before it gets near the catalog, a path
// or a terminal. Its instance is never taken from a message.

const (
	maxName = 256     // bytes; Postgres allows 63 unless it was built otherwise
	maxText = 8 << 10 // bytes of a tool's own words
)

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

// clip bounds a text.
func clip(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + " …"
	}
	return text
}

// clipName bounds what stands in for a name.
func clipName(text string) string {
	if len(text) > maxName {
		text = strings.ToValidUTF8(text[:maxName], "")
	}
	return text
}

func clipAll(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, clip(text))
	}
	return all
}

func invalid(format string, args ...any) error {
	return fleet.NewProblem(fleet.ErrInvalid, format, args...)
}

// timeFrom is the zero time where nothing was sent.
func timeFrom(t *timestamppb.Timestamp) time.Time {
	if t == nil || t.CheckValid() != nil {
		return time.Time{}
	}
	return t.AsTime()
}

func progressFrom(p *pgharborv1.Progress) fleet.Progress {
	return fleet.Progress{Phase: clip(p.GetPhase()), DoneBytes: max(p.GetDoneBytes(), 0), TotalBytes: max(p.GetTotalBytes(), 0),
		DoneObjects: max(p.GetDoneObjects(), 0), TotalObjects: max(p.GetTotalObjects(), 0)}
}

func statusFrom(s *pgharborv1.AgentStatus) fleet.AgentStatus {
	status := fleet.AgentStatus{
		ServerVersion: clip(s.GetServerVersion()), DumpVersion: clip(s.GetPgDumpVersion()),
		BackupsEnabled: s.GetBackupsEnabled(), Schedule: clip(s.GetSchedule()), Timezone: clip(s.GetTimezone()),
		NextRunAt: timeFrom(s.GetNextRunAt()), NextPurgeAt: timeFrom(s.GetNextPurgeAt()),
		RetentionDays: int(s.GetRetentionDays()), KeepLast: int(s.GetKeepLast()),
		VerifySchedule: clip(s.GetVerifySchedule()), NextVerifyAt: timeFrom(s.GetNextVerifyAt()), ScrubDays: int(s.GetScrubDays()),
		Encrypting: s.GetEncrypting(), Warnings: clipAll(s.GetWarnings()),
		FolderTrouble: clip(s.GetFolderTrouble()), RetentionBlocked: clip(s.GetRetentionBlocked()),
		CertificateEndsAt: timeFrom(s.GetCertificateEndsAt()), CertificateLife: s.GetCertificateLife().AsDuration(),
	}
	if s != nil && s.FreeBytes != nil {
		free := max(s.GetFreeBytes(), 0)
		status.FreeBytes = &free
	}
	status.Policy = policyFrom(s.GetPolicy())
	for _, d := range s.GetDatabases() {
		status.Databases = append(status.Databases, fleet.InstanceDatabase{Name: d.GetName(), Covered: d.GetCovered()})
	}
	return status
}

// maxPolicy bounds each list of a policy; an agent keeps to fewer.
const maxPolicy = 100

// policyFrom is nil where an agent does not say.
func policyFrom(p *pgharborv1.HostPolicy) *fleet.HostPolicy {
	if p == nil {
		return nil
	}
	return &fleet.HostPolicy{
		Jobs: clipNames(p.GetJobs()), Replace: p.GetReplace(), RestoreFrom: clipNames(p.GetRestoreFrom()), Unproven: p.GetUnproven(),
		SuperuserRoles: p.GetSuperuserRoles(), ReleaseHostHolds: p.GetReleaseHostHolds(), Trouble: clip(p.GetTrouble()),
	}
}

func clipNames(texts []string) []string {
	var all []string
	for _, text := range texts[:min(len(texts), maxPolicy)] {
		all = append(all, clipName(text))
	}
	return all
}

func runFrom(instance string, r *pgharborv1.Run) (fleet.Run, error) {
	run := fleet.Run{
		ID: r.GetId(), Instance: instance, Database: r.GetDatabase(), Trigger: clip(r.GetTrigger()), State: r.GetState(),
		StartedAt: timeFrom(r.GetStartedAt()), FinishedAt: timeFrom(r.GetFinishedAt()), Error: clip(r.GetError()),
		Warnings: clipAll(r.GetWarnings()), BackupID: r.GetBackupId(), JobID: r.GetJobId(), SizeBytes: max(r.GetSizeBytes(), 0),
	}
	switch {
	case !fleet.ValidID(run.ID):
		return run, invalid("%.64q is no id of a run", run.ID)
	case (run.BackupID != "" && !fleet.ValidID(run.BackupID)) || (run.JobID != "" && !fleet.ValidID(run.JobID)):
		return run, invalid("run %s names the backup %.64q and the job %.64q", run.ID, run.BackupID, run.JobID)
	case run.Database == "" || len(run.Database) > maxName:
		return run, invalid("run %s has no database, or one with too long a name", run.ID)
	case run.State != fleet.RunRunning && run.State != fleet.RunSucceeded && run.State != fleet.RunFailed:
		return run, invalid("run %s has the state %.64q", run.ID, run.State)
	case run.StartedAt.IsZero() || (run.State != fleet.RunRunning && run.FinishedAt.IsZero()):
		return run, invalid("run %s lacks a time", run.ID)
	}
	return run, nil
}

func backupFrom(instance string, b *pgharborv1.Backup) (fleet.Backup, error) {
	backup := fleet.Backup{
		ID: b.GetId(), Instance: instance, Database: b.GetDatabase(), State: fleet.BackupPresent,
		CreatedAt: timeFrom(b.GetCreatedAt()), Complete: b.GetComplete(), SizeBytes: b.GetSizeBytes(),
		Retention: fleet.Retention{
			Status: clip(b.GetRetention().GetStatus()), ExpiresAt: timeFrom(b.GetRetention().GetExpiresAt()), Reason: clip(b.GetRetention().GetReason()),
		},
		Manifest: manifestFrom(b), Findings: findingsFrom(b),
	}
	if b.GetState() == fleet.BackupDamaged {
		backup.State = fleet.BackupDamaged
	}
	switch {
	case !fleet.ValidID(backup.ID):
		return backup, invalid("%.64q is no id of a backup", backup.ID)
	case len(backup.Database) > maxName:
		return backup, invalid("backup %s has a database with too long a name", backup.ID)
	case !validFilename(backup.Manifest.Filename):
		return backup, invalid("backup %s has the file name %.64q", backup.ID, backup.Manifest.Filename)
	case backup.CreatedAt.IsZero() || backup.SizeBytes < 0 || !sha256Hex.MatchString(backup.Manifest.SHA256):
		return backup, invalid("backup %s lacks its time, size or hash", backup.ID)
	}
	return backup, nil
}

func findingsFrom(b *pgharborv1.Backup) fleet.Findings {
	return fleet.Findings{
		Held: b.GetHeld(), HoldReason: clip(b.GetHoldReason()), HeldBy: clip(b.GetHeldBy()),
		ScrubbedAt: timeFrom(b.GetScrubbedAt()), Damage: clip(b.GetDamage()), Proof: proofFrom(b.GetProof()),
	}
}

// proofFrom is the zero Proof where none was sent, or one that says nothing.
func proofFrom(p *pgharborv1.Proof) fleet.Proof {
	if (p.GetState() != fleet.ProofSucceeded && p.GetState() != fleet.ProofFailed) || timeFrom(p.GetFinishedAt()).IsZero() {
		return fleet.Proof{}
	}
	return fleet.Proof{
		State: p.GetState(), FinishedAt: timeFrom(p.GetFinishedAt()), ServerVersion: clip(p.GetServerVersion()), Method: clip(p.GetMethod()),
		RestoreTook: max(p.GetRestoreTook().AsDuration(), 0), Took: max(p.GetTook().AsDuration(), 0),
		Tables: int(p.GetTables()), Rows: p.GetRows(), Differences: clipAll(p.GetDifferences()),
	}
}

// validFilename: the base name of a backup, which the CLI may save under.
func validFilename(name string) bool {
	return strings.HasPrefix(name, "backup-") && len(name) <= 255 &&
		!strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == '/' || c == '\\' || c == 0x7f })
}

func manifestFrom(b *pgharborv1.Backup) fleet.Manifest {
	m := fleet.Manifest{
		Filename: b.GetFilename(), SHA256: b.GetSha256(), Encrypted: b.GetEncrypted(), Format: clip(b.GetFormat()),
		Compression: clip(b.GetCompression()), Encryption: clip(b.GetEncryption()),
		PlainSizeBytes: b.GetPlainSizeBytes(), PlainSHA256: clip(b.GetPlainSha256()), RunID: clip(b.GetRunId()), Trigger: clip(b.GetTrigger()),
		ServerVersion: clip(b.GetServerVersion()), DumpVersion: clip(b.GetPgDumpVersion()), Encoding: clip(b.GetEncoding()),
		Collation: clip(b.GetCollation()), CType: clip(b.GetCtype()), StartedAt: timeFrom(b.GetStartedAt()), Warnings: clipAll(b.GetWarnings()),
		Sequence: max(b.GetSequence(), 0), PreviousSHA256: clip(b.GetPreviousSha256()), SignedBy: clip(b.GetSignedBy()),
		UnprovenOrigin: clipName(b.GetUnprovenOrigin()),
	}
	for _, t := range b.GetTables() {
		m.Tables = append(m.Tables, fleet.TableRows{Schema: t.GetSchema(), Name: t.GetName(), Rows: t.GetRows()})
	}
	if g := b.GetGlobals(); g != nil {
		m.Globals = &fleet.Globals{
			Filename: clip(g.GetFilename()), SizeBytes: max(g.GetSizeBytes(), 0), SHA256: clip(g.GetSha256()),
			Passwords: g.GetPasswords(), Roles: clipAll(g.GetRoles()),
		}
	}
	return m
}

func resultFrom(f *pgharborv1.JobFinished) (fleet.JobResult, error) {
	result := fleet.JobResult{
		State: fleet.JobState(f.GetState()), Error: clip(f.GetError()), Failure: clip(f.GetFailure()), FinishedAt: timeFrom(f.GetFinishedAt()),
		Restore: restoreFrom(f.GetRestore()), Checks: checksFrom(f.GetChecks()),
	}
	switch result.State {
	case fleet.JobSucceeded, fleet.JobFailed, fleet.JobCancelled:
		return result, nil
	default:
		return result, invalid("job %.64q ended as %.64q", f.GetJobId(), f.GetState())
	}
}

// maxChecks bounds the lines of a look ahead; there are about a dozen.
const maxChecks = 100

func checksFrom(checks []*pgharborv1.RestoreCheck) []fleet.RestoreCheck {
	var all []fleet.RestoreCheck
	for _, c := range checks[:min(len(checks), maxChecks)] {
		all = append(all, fleet.RestoreCheck{Name: clip(c.GetName()), Result: clip(c.GetResult()), Detail: clip(c.GetDetail()), Remedy: clip(c.GetRemedy())})
	}
	return all
}

func restoreFrom(o *pgharborv1.RestoreOutcome) *fleet.RestoreOutcome {
	if o == nil {
		return nil
	}
	return &fleet.RestoreOutcome{
		RestoreID: o.GetRestoreId(), Kept: clip(o.GetKeptDatabase()), KeptUntil: timeFrom(o.GetKeptUntil()), UndoneAt: timeFrom(o.GetUndoneAt()),
	}
}

func restoreSpecOf(spec fleet.JobSpec) *pgharborv1.RestoreSpec {
	return &pgharborv1.RestoreSpec{
		BackupId: spec.BackupID, TargetDatabase: spec.TargetDatabase, Replace: spec.Replace, WithRoles: spec.WithRoles,
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
