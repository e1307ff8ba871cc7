package session

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/state"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// text makes what a server or a tool said fit to be sent: protobuf refuses
// strings that are not UTF-8, and names in Postgres may be just that.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func texts(all []string) []string {
	var valid []string
	for _, s := range all {
		valid = append(valid, text(s))
	}
	return valid
}

// timestamp is nil for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func statusOf(s job.Status, timezone string) *pgharborv1.AgentStatus {
	status := &pgharborv1.AgentStatus{
		ServerVersion: text(s.ServerVersion), PgDumpVersion: text(s.DumpVersion), BackupsEnabled: s.Enabled,
		Schedule: text(s.Schedule), Timezone: text(timezone), NextRunAt: timestamp(s.NextRun), NextPurgeAt: timestamp(s.NextPurge),
		RetentionDays: int32(s.RetentionDays), KeepLast: int32(s.KeepLast), ScrubDays: int32(s.ScrubDays),
		VerifySchedule: text(s.VerifySchedule), NextVerifyAt: timestamp(s.NextVerify),
		Encrypting: s.Encrypting, Warnings: texts(s.Warnings),
		FolderTrouble: text(s.FolderWarning), RetentionBlocked: text(s.RetentionBlocked), KeyWarning: text(s.KeyWarning),
	}
	if s.FolderWarning == "" {
		status.FreeBytes = &s.FreeBytes
	}
	status.Policy = &pgharborv1.HostPolicy{
		Jobs: s.HostPolicy.Jobs, Replace: s.HostPolicy.Replace, RestoreFrom: texts(s.HostPolicy.RestoreFrom), Unproven: s.HostPolicy.Unproven,
		SuperuserRoles: s.HostPolicy.SuperuserRoles, TrustContent: s.HostPolicy.TrustContent, ReleaseHostHolds: s.HostPolicy.ReleaseHostHolds, Trouble: text(s.PolicyWarning),
	}
	for _, d := range s.Databases {
		status.Databases = append(status.Databases, &pgharborv1.InstanceDatabase{Name: text(d.Name), Covered: d.Covered})
	}
	return status
}

func runOf(r state.Run) *pgharborv1.Run {
	return &pgharborv1.Run{
		Id: r.ID, Database: text(r.Database), Trigger: r.Trigger, State: r.State,
		StartedAt: timestamp(r.StartedAt), FinishedAt: timestamp(r.FinishedAt), Error: text(r.Error), Warnings: texts(r.Warnings),
		BackupId: r.BackupID, JobId: r.JobID, SizeBytes: r.SizeBytes,
	}
}

func progressOf(p backup.Progress) *pgharborv1.Progress {
	return &pgharborv1.Progress{
		Phase: text(p.Phase), DoneBytes: p.DoneBytes, TotalBytes: p.TotalBytes,
		DoneObjects: p.DoneObjects, TotalObjects: p.TotalObjects,
	}
}

// reportOf makes a report of an entry. What retention says of a new backup is taken from the
// inventory, if that has it.
func reportOf(entry state.Entry, inventory job.Inventory) *pgharborv1.Report {
	report := &pgharborv1.Report{Id: entry.ID}
	switch {
	case entry.Run != nil:
		finished := &pgharborv1.RunFinished{Run: runOf(*entry.Run)}
		if entry.Backup != nil {
			finished.Backup = backupOf(*entry.Backup)
			for _, b := range inventory.Backups {
				if b.ID == entry.Backup.ID {
					finished.Backup.Retention = retentionOf(b.Retention)
				}
			}
		}
		report.Event = &pgharborv1.Report_RunFinished{RunFinished: finished}
	case entry.Removal != nil:
		report.Event = &pgharborv1.Report_BackupRemoved{BackupRemoved: &pgharborv1.BackupRemoved{
			BackupId: entry.Removal.BackupID, Reason: text(entry.Removal.Reason), RemovedAt: timestamp(entry.Removal.RemovedAt),
		}}
	case entry.Scrub != nil:
		report.Event = &pgharborv1.Report_BackupScrubbed{BackupScrubbed: &pgharborv1.BackupScrubbed{
			BackupId: entry.Scrub.BackupID, ScrubbedAt: timestamp(entry.Scrub.ScrubbedAt), Damage: text(entry.Scrub.Damage),
		}}
	case entry.TestRestore != nil:
		report.Event = &pgharborv1.Report_BackupProved{BackupProved: &pgharborv1.BackupProved{
			BackupId: entry.TestRestore.BackupID, Proof: testRestoreOf(&entry.TestRestore.TestRestore),
		}}
	case entry.Result != nil:
		report.Event = &pgharborv1.Report_JobFinished{JobFinished: &pgharborv1.JobFinished{
			JobId: entry.Result.JobID, State: entry.Result.State, Error: text(entry.Result.Error),
			Failure: entry.Result.Failure, FinishedAt: timestamp(entry.Result.FinishedAt),
			Restore: outcomeOf(entry.Result.Outcome), Checks: checksOf(entry.Result.Checks), Warnings: texts(entry.Result.Warnings),
		}}
	}
	return report
}

func outcomeOf(o *state.RestoreOutcome) *pgharborv1.RestoreOutcome {
	if o == nil {
		return nil
	}
	return &pgharborv1.RestoreOutcome{
		RestoreId: o.RestoreID, KeptDatabase: text(o.Displaced), KeptUntil: timestamp(o.Until), UndoneAt: timestamp(o.UndoneAt),
	}
}

func checksOf(checks []backup.PreflightCheck) []*pgharborv1.RestoreCheck {
	var all []*pgharborv1.RestoreCheck
	for _, c := range checks {
		all = append(all, &pgharborv1.RestoreCheck{Name: c.Name, Result: c.Result, Detail: text(c.Detail), Remedy: text(c.Remedy)})
	}
	return all
}

// backupOf leaves the retention to the caller. If its tables or roles are too many for one message,
// they are left out: the manifest next to the file has them.
func backupOf(m backup.Manifest) *pgharborv1.Backup {
	of := m.Series()
	b := &pgharborv1.Backup{
		Id: m.ID, Kind: text(of.Kind.Word()), Subject: text(of.Subject.Word()), DependsOn: texts(m.DependsOn), Database: text(m.Database), Filename: text(m.Filename), SizeBytes: m.SizeBytes, Sha256: m.SHA256,
		CreatedAt: timestamp(m.CreatedAt), StartedAt: timestamp(m.StartedAt),
		Encrypted: m.Encryption.Scheme != seal.SchemeNone, Encryption: m.Encryption.Scheme,
		Format: m.Format, Compression: m.Compression, PlainSizeBytes: m.PlainSizeBytes, PlainSha256: m.PlainSHA256,
		RunId: m.RunID, Trigger: m.Trigger, State: backup.StatePresent,
		ServerVersion: text(m.ServerVersion), PgDumpVersion: text(m.PgDumpVersion),
		Encoding: text(m.Encoding), Collation: text(m.Collation), Ctype: text(m.CType),
		Warnings: texts(m.Warnings), Complete: m.Complete, Sequence: m.Sequence, PreviousSha256: m.PreviousSHA256,
	}
	if m.Signature != nil {
		b.SignedBy = text(m.Signature.KeyID)
	}
	if m.UnknownOrigin != nil {
		b.UnprovenOrigin = text(string(m.UnknownOrigin.Origin))
	}
	for _, t := range m.Tables {
		b.Tables = append(b.Tables, &pgharborv1.TableRows{Schema: text(t.Schema), Name: text(t.Name), Rows: t.Rows})
	}
	if g := m.Globals; g != nil {
		b.Globals = &pgharborv1.Globals{
			Filename: text(g.Filename), SizeBytes: g.SizeBytes, Sha256: g.SHA256, Passwords: g.Passwords, Roles: texts(g.Roles),
		}
	}
	if proto.Size(b) > pageBytes {
		b.Tables = nil
	}
	if b.Globals != nil && proto.Size(b) > pageBytes {
		b.Globals.Roles = nil
	}
	return b
}

// inventoryBackup is a backup of the inventory, or nil if its file is gone: to the control plane
// that is one which the agent does not have. A damaged one does not count.
func inventoryBackup(b job.Backup, inventory Inventory) *pgharborv1.Backup {
	if b.State == backup.StateMissing {
		return nil
	}
	manifest := b.Manifest
	manifest.Tables = inventory.Tables(b)
	held := backupOf(manifest)
	held.Complete = held.Complete && b.State == backup.StatePresent
	held.State, held.Damage, held.ScrubbedAt = b.State, text(b.Damage), timestamp(b.Check.ScrubbedAt)
	held.Proof = testRestoreOf(b.Check.TestRestore)
	if b.Hold != nil {
		held.Held, held.HoldReason, held.HeldBy = true, text(b.Hold.Reason), text(b.Hold.By)
	}
	held.Retention = retentionOf(b.Retention)
	if b.State != backup.StatePresent {
		held.Retention.Reason = "the file is " + b.State
	}
	return held
}

// testRestoreOf is nil if there was no test restore.
func testRestoreOf(p *backup.TestRestore) *pgharborv1.Proof {
	if p == nil {
		return nil
	}
	return &pgharborv1.Proof{
		State: p.State, FinishedAt: timestamp(p.FinishedAt), ServerVersion: text(p.ServerVersion), Method: p.Method,
		RestoreTook: durationpb.New(p.RestoreTook), Took: durationpb.New(p.Took),
		Tables: int32(p.Tables), Rows: p.Rows, Differences: texts(p.Differences), Refuses: text(p.Refuses),
	}
}

func retentionOf(d retention.Decision) *pgharborv1.Retention {
	return &pgharborv1.Retention{Status: string(d.Status), ExpiresAt: timestamp(d.ExpiresAt), Reason: text(d.Reason)}
}
