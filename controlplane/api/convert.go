package api

import (
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// toProto converts a list with the conversion of one.
func toProto[T, P any](list []T, convert func(T) P) []P {
	all := make([]P, 0, len(list))
	for _, one := range list {
		all = append(all, convert(one))
	}
	return all
}

// backupToProto leaves the tables out: a list of them would be long.
func backupToProto(b fleet.Backup) *pgharborv1.Backup {
	m, of := b.Manifest, b.Series()
	return &pgharborv1.Backup{
		Id: b.ID, Instance: b.Instance, Kind: of.Kind.Word(), Subject: of.Subject.Word(), DependsOn: m.DependsOn, Database: b.Database, State: b.State, Complete: b.Complete,
		Filename: m.Filename, SizeBytes: b.SizeBytes, Sha256: m.SHA256, CreatedAt: stamp(b.CreatedAt), StartedAt: stamp(m.StartedAt),
		Encrypted: m.Encrypted, Format: m.Format, Compression: m.Compression, Encryption: m.Encryption,
		PlainSizeBytes: m.PlainSizeBytes, PlainSha256: m.PlainSHA256, RunId: m.RunID, Trigger: m.Trigger,
		ServerVersion: m.ServerVersion, PgDumpVersion: m.DumpVersion,
		Encoding: m.Encoding, Collation: m.Collation, Ctype: m.CType, Warnings: m.Warnings,
		RemovedAt: stamp(b.RemovedAt), RemovedReason: b.RemovedFor,
		Sequence: m.Sequence, PreviousSha256: m.PreviousSHA256, SignedBy: m.SignedBy,
		UnprovenOrigin: m.UnprovenOrigin,
		Held:           b.Held, HoldReason: b.HoldReason, HeldBy: b.HeldBy,
		ScrubbedAt: stamp(b.ScrubbedAt), Damage: b.Damage, Proof: testRestoreToProto(b.TestRestore),
		Retention: &pgharborv1.Retention{Status: b.Retention.Status, ExpiresAt: stamp(b.Retention.ExpiresAt), Reason: b.Retention.Reason},
		Globals:   globalsToProto(m.Globals),
	}
}

// globalsToProto leaves the roles out, as a list leaves out the tables.
func globalsToProto(g *fleet.Globals) *pgharborv1.Globals {
	if g == nil {
		return nil
	}
	return &pgharborv1.Globals{Filename: g.Filename, SizeBytes: g.SizeBytes, Sha256: g.SHA256, Passwords: g.Passwords}
}

// testRestoreToProto is nil if there was no test restore.
func testRestoreToProto(p fleet.TestRestore) *pgharborv1.Proof {
	if p.State == "" {
		return nil
	}
	return &pgharborv1.Proof{
		State: p.State, FinishedAt: stamp(p.FinishedAt), ServerVersion: p.ServerVersion, Method: p.Method,
		RestoreTook: durationpb.New(p.RestoreTook), Took: durationpb.New(p.Took),
		Tables: int32(p.Tables), Rows: p.Rows, Differences: p.Differences, Refuses: p.Refuses,
	}
}

func tablesToProto(tables []fleet.TableRows) []*pgharborv1.TableRows {
	return toProto(tables, func(t fleet.TableRows) *pgharborv1.TableRows {
		return &pgharborv1.TableRows{Schema: t.Schema, Name: t.Name, Rows: t.Rows}
	})
}

func runToProto(r fleet.Run) *pgharborv1.Run {
	return &pgharborv1.Run{
		Id: r.ID, Instance: r.Instance, Database: r.Database, Trigger: r.Trigger, State: r.State,
		StartedAt: stamp(r.StartedAt), FinishedAt: stamp(r.FinishedAt), Error: r.Error, Warnings: r.Warnings,
		BackupId: r.BackupID, JobId: r.JobID, SizeBytes: r.SizeBytes,
	}
}

func progressToProto(p fleet.Progress) *pgharborv1.Progress {
	return &pgharborv1.Progress{
		Phase: p.Phase, DoneBytes: p.DoneBytes, TotalBytes: p.TotalBytes, DoneObjects: p.DoneObjects, TotalObjects: p.TotalObjects,
	}
}

func jobToProto(j fleet.Job, runs []fleet.Run) *pgharborv1.Job {
	return &pgharborv1.Job{
		Id: j.ID, Kind: string(j.Kind), Instance: j.Instance, State: string(j.State), RequestedBy: j.RequestedBy,
		CreatedAt: stamp(j.CreatedAt), StartedAt: stamp(j.StartedAt), FinishedAt: stamp(j.FinishedAt), Deadline: stamp(j.Deadline),
		Error: j.Error, Failure: j.Failure, Progress: progressToProto(j.Progress), Runs: toProto(runs, runToProto),
	}
}

func restoreToProto(r fleet.Restore) *pgharborv1.Restore {
	instance, target := r.Instance, ""
	if r.Spec.SourceInstance != "" {
		instance, target = r.Spec.SourceInstance, r.Instance
	}
	return &pgharborv1.Restore{
		Id: r.ID, BackupId: r.Spec.BackupID, Instance: instance, TargetInstance: target, Database: r.Spec.Database, TargetDatabase: r.Spec.TargetDatabase,
		State: string(r.State), Reason: r.Spec.Reason, RequestedBy: r.RequestedBy,
		CreatedAt: stamp(r.CreatedAt), StartedAt: stamp(r.StartedAt), FinishedAt: stamp(r.FinishedAt),
		Error: r.Error, Failure: r.Failure, Progress: progressToProto(r.Progress),
		Replace: r.Spec.Replace, KeptDatabase: r.Displaced, KeptUntil: stamp(r.DisplacedUntil), UndoneAt: stamp(r.UndoneAt), Warnings: r.Warnings,
		Checks: toProto(r.Checks, func(c fleet.PreflightCheck) *pgharborv1.RestoreCheck {
			return &pgharborv1.RestoreCheck{Name: c.Name, Result: c.Result, Detail: c.Detail, Remedy: c.Remedy}
		}),
	}
}

func statusToProto(s fleet.AgentStatus) *pgharborv1.AgentStatus {
	return &pgharborv1.AgentStatus{
		ServerVersion: s.ServerVersion, PgDumpVersion: s.DumpVersion, BackupsEnabled: s.BackupsEnabled,
		Schedule: s.Schedule, Timezone: s.Timezone, NextRunAt: stamp(s.NextRunAt), NextPurgeAt: stamp(s.NextPurgeAt),
		RetentionDays: int32(s.RetentionDays), KeepLast: int32(s.KeepLast), Encrypting: s.Encrypting, Warnings: s.Warnings,
		FreeBytes: s.FreeBytes, FolderTrouble: s.FolderWarning, RetentionBlocked: s.RetentionBlocked, KeyWarning: s.KeyWarning,
		CertificateEndsAt: stamp(s.CertificateEndsAt), CertificateLife: durationpb.New(s.CertificateLife),
		VerifySchedule: s.VerifySchedule, NextVerifyAt: stamp(s.NextVerifyAt), ScrubDays: int32(s.ScrubDays),
		Policy: hostPolicyToProto(s.Policy),
		Databases: toProto(s.Databases, func(d fleet.InstanceDatabase) *pgharborv1.InstanceDatabase {
			return &pgharborv1.InstanceDatabase{Name: d.Name, Covered: d.Covered}
		}),
	}
}

// hostPolicyToProto is nil if the agent did not say.
func hostPolicyToProto(p *fleet.HostPolicy) *pgharborv1.HostPolicy {
	if p == nil {
		return nil
	}
	return &pgharborv1.HostPolicy{
		Jobs: p.Jobs, Replace: p.Replace, RestoreFrom: p.RestoreFrom, Unproven: p.Unproven,
		SuperuserRoles: p.SuperuserRoles, TrustContent: p.TrustContent, ReleaseHostHolds: p.ReleaseHostHolds, Trouble: p.Warning,
	}
}

func (a *API) agentToProto(agent fleet.Agent) *pgharborv1.Agent {
	state := "disconnected"
	switch {
	case !agent.RevokedAt.IsZero():
		state = "revoked"
	case agent.EnrolledAt.IsZero():
		state = "invited"
	case a.Sessions.Connected(agent.Name):
		state = "connected"
	}
	return &pgharborv1.Agent{
		Name: agent.Name, State: state, EnrolledAt: stamp(agent.EnrolledAt), LastSeenAt: stamp(agent.LastSeenAt),
		Version: agent.Version, Status: statusToProto(agent.Status),
	}
}

func userToProto(u fleet.User) *pgharborv1.User {
	state := "active"
	switch {
	case !u.RevokedAt.IsZero():
		state = "revoked"
	case u.EnrolledAt.IsZero():
		state = "invited"
	}
	return &pgharborv1.User{
		Name: u.Name, Role: string(u.Role), State: state, CreatedAt: stamp(u.CreatedAt),
		Grants:    toProto(u.Grants, func(g fleet.Grant) string { return string(g.Permission) }),
		Instances: u.Instances, Devices: int32(u.Devices),
		GrantScopes: toProto(u.Grants, func(g fleet.Grant) *pgharborv1.Grant {
			return &pgharborv1.Grant{Permission: string(g.Permission), Instances: g.Instances}
		}),
	}
}
