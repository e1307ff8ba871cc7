package session

import (
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Every field that an agent can send, and what it may say at most. What is over is never kept:
// words are cut, a field marked optional is left out, an item of a list is dropped, and anything
// else costs the message that it is in. Then the session goes on, and the agent's own health says
// so (REFUSED). A test fails for a field that is not here.
//
// Names of databases, schemas, tables and roles are Postgres's: they may hold any
// character but NUL, and whatever shows them escapes them. Other names are of
// pgharbor's making, and printable.
var bounds = map[protoreflect.FullName]bound{
	// ---- a session
	"pgharbor.v1.ConnectRequest.hello":          message,
	"pgharbor.v1.ConnectRequest.heartbeat":      message,
	"pgharbor.v1.ConnectRequest.inventory_page": message,
	"pgharbor.v1.ConnectRequest.report":         message,
	"pgharbor.v1.ConnectRequest.job_update":     message,

	"pgharbor.v1.Hello.agent_version":    words(100),
	"pgharbor.v1.Hello.status":           optional(message),
	"pgharbor.v1.Hello.running_job_ids":  list(1000, id),
	"pgharbor.v1.Hello.inventory_digest": optional(name(128)),
	"pgharbor.v1.Hello.incarnation":      words(256),
	"pgharbor.v1.Hello.host":             words(256),
	"pgharbor.v1.Hello.trail_head":       optional(message),
	"pgharbor.v1.Hello.signing_key":      optional(raw(64)),

	"pgharbor.v1.Heartbeat.sent_at":          clock,
	"pgharbor.v1.Heartbeat.status":           optional(message),
	"pgharbor.v1.Heartbeat.running":          list(fleet.RunsUnderWay, message),
	"pgharbor.v1.Heartbeat.inventory_digest": optional(name(128)),

	"pgharbor.v1.InventoryPage.backups": list(50_000, message),
	"pgharbor.v1.InventoryPage.last":    flag,
	"pgharbor.v1.InventoryPage.digest":  optional(name(128)),

	"pgharbor.v1.JobUpdate.job_id":       id,
	"pgharbor.v1.JobUpdate.progress":     optional(message),
	"pgharbor.v1.Progress.phase":         words(100),
	"pgharbor.v1.Progress.done_bytes":    amount,
	"pgharbor.v1.Progress.total_bytes":   amount,
	"pgharbor.v1.Progress.done_objects":  amount,
	"pgharbor.v1.Progress.total_objects": amount,

	// ---- what an agent says of itself: health shows it for each of its databases
	"pgharbor.v1.AgentStatus.server_version":      words(100),
	"pgharbor.v1.AgentStatus.pg_dump_version":     words(100),
	"pgharbor.v1.AgentStatus.backups_enabled":     flag,
	"pgharbor.v1.AgentStatus.schedule":            words(200),
	"pgharbor.v1.AgentStatus.timezone":            words(100),
	"pgharbor.v1.AgentStatus.next_run_at":         optional(moment),
	"pgharbor.v1.AgentStatus.next_purge_at":       optional(moment),
	"pgharbor.v1.AgentStatus.retention_days":      optional(count(100_000)),
	"pgharbor.v1.AgentStatus.keep_last":           optional(count(1_000_000)),
	"pgharbor.v1.AgentStatus.encrypting":          flag,
	"pgharbor.v1.AgentStatus.databases":           list(fleet.MaxDatabases, message),
	"pgharbor.v1.AgentStatus.warnings":            list(50, words(1000)),
	"pgharbor.v1.AgentStatus.verify_schedule":     words(200),
	"pgharbor.v1.AgentStatus.next_verify_at":      optional(moment),
	"pgharbor.v1.AgentStatus.scrub_days":          optional(count(100_000)),
	"pgharbor.v1.AgentStatus.free_bytes":          amount,
	"pgharbor.v1.AgentStatus.folder_trouble":      words(1000),
	"pgharbor.v1.AgentStatus.retention_blocked":   words(1000),
	"pgharbor.v1.AgentStatus.key_warning":         words(1000),
	"pgharbor.v1.AgentStatus.certificate_ends_at": optional(moment),
	"pgharbor.v1.AgentStatus.certificate_life":    optional(duration),
	"pgharbor.v1.AgentStatus.policy":              optional(message),
	"pgharbor.v1.HostPolicy.jobs":                 list(100, words(64)),
	"pgharbor.v1.HostPolicy.replace":              flag,
	"pgharbor.v1.HostPolicy.restore_from":         list(100, words(256)),
	"pgharbor.v1.HostPolicy.unproven":             flag,
	"pgharbor.v1.HostPolicy.superuser_roles":      flag,
	"pgharbor.v1.HostPolicy.trust_content":        flag,
	"pgharbor.v1.HostPolicy.release_host_holds":   flag,
	"pgharbor.v1.HostPolicy.trouble":              words(1000),
	"pgharbor.v1.InstanceDatabase.name":           postgresName,
	"pgharbor.v1.InstanceDatabase.covered":        flag,

	// ---- reports
	"pgharbor.v1.Report.id":              name(maxReportID),
	"pgharbor.v1.Report.run_finished":    message,
	"pgharbor.v1.Report.backup_removed":  message,
	"pgharbor.v1.Report.job_finished":    message,
	"pgharbor.v1.Report.backup_scrubbed": message,
	"pgharbor.v1.Report.backup_proved":   message,

	"pgharbor.v1.RunFinished.run":    message,
	"pgharbor.v1.RunFinished.backup": message,
	"pgharbor.v1.Run.id":             id,
	"pgharbor.v1.Run.instance":       words(256), // never used: it is the certificate's
	"pgharbor.v1.Run.database":       postgresName,
	"pgharbor.v1.Run.trigger":        words(64),
	"pgharbor.v1.Run.state":          name(64),
	"pgharbor.v1.Run.started_at":     moment,
	"pgharbor.v1.Run.finished_at":    moment,
	"pgharbor.v1.Run.error":          words(maxWords),
	"pgharbor.v1.Run.warnings":       list(50, words(2000)),
	"pgharbor.v1.Run.backup_id":      id,
	"pgharbor.v1.Run.job_id":         id,
	"pgharbor.v1.Run.size_bytes":     amount,

	"pgharbor.v1.BackupRemoved.backup_id":    id,
	"pgharbor.v1.BackupRemoved.reason":       words(maxWords),
	"pgharbor.v1.BackupRemoved.removed_at":   moment,
	"pgharbor.v1.BackupScrubbed.backup_id":   id,
	"pgharbor.v1.BackupScrubbed.scrubbed_at": moment,
	"pgharbor.v1.BackupScrubbed.damage":      words(2000),
	"pgharbor.v1.BackupProved.backup_id":     id,
	"pgharbor.v1.BackupProved.proof":         message,

	"pgharbor.v1.JobFinished.job_id":           id,
	"pgharbor.v1.JobFinished.state":            name(64),
	"pgharbor.v1.JobFinished.error":            words(maxWords),
	"pgharbor.v1.JobFinished.failure":          words(64),
	"pgharbor.v1.JobFinished.finished_at":      moment,
	"pgharbor.v1.JobFinished.restore":          message,
	"pgharbor.v1.JobFinished.checks":           list(100, message),
	"pgharbor.v1.JobFinished.warnings":         list(50, words(2000)),
	"pgharbor.v1.RestoreOutcome.restore_id":    id,
	"pgharbor.v1.RestoreOutcome.kept_database": postgresName,
	"pgharbor.v1.RestoreOutcome.kept_until":    moment,
	"pgharbor.v1.RestoreOutcome.undone_at":     moment,
	"pgharbor.v1.RestoreCheck.name":            words(200),
	"pgharbor.v1.RestoreCheck.result":          words(64),
	"pgharbor.v1.RestoreCheck.detail":          words(maxWords),
	"pgharbor.v1.RestoreCheck.remedy":          words(maxWords),

	// ---- a backup
	"pgharbor.v1.Backup.id":               id,
	"pgharbor.v1.Backup.instance":         words(256), // never used: it is the certificate's
	"pgharbor.v1.Backup.database":         postgresName,
	"pgharbor.v1.Backup.filename":         name(255),
	"pgharbor.v1.Backup.size_bytes":       size,
	"pgharbor.v1.Backup.created_at":       moment,
	"pgharbor.v1.Backup.encrypted":        flag,
	"pgharbor.v1.Backup.sha256":           hash,
	"pgharbor.v1.Backup.retention":        optional(message),
	"pgharbor.v1.Backup.format":           words(64),
	"pgharbor.v1.Backup.compression":      words(64),
	"pgharbor.v1.Backup.encryption":       words(64),
	"pgharbor.v1.Backup.plain_size_bytes": size,
	"pgharbor.v1.Backup.plain_sha256":     optional(hash),
	"pgharbor.v1.Backup.run_id":           words(64),
	"pgharbor.v1.Backup.trigger":          words(64),
	"pgharbor.v1.Backup.state":            words(64),
	"pgharbor.v1.Backup.server_version":   words(100),
	"pgharbor.v1.Backup.pg_dump_version":  words(100),
	"pgharbor.v1.Backup.encoding":         words(100),
	"pgharbor.v1.Backup.collation":        words(256),
	"pgharbor.v1.Backup.started_at":       optional(moment),
	"pgharbor.v1.Backup.warnings":         list(50, words(2000)),
	"pgharbor.v1.Backup.tables":           list(50_000, message),
	"pgharbor.v1.Backup.removed_at":       optional(moment),
	"pgharbor.v1.Backup.removed_reason":   words(2000),
	"pgharbor.v1.Backup.complete":         flag,
	"pgharbor.v1.Backup.ctype":            words(256),
	"pgharbor.v1.Backup.held":             flag,
	"pgharbor.v1.Backup.hold_reason":      words(2000),
	"pgharbor.v1.Backup.held_by":          words(256),
	"pgharbor.v1.Backup.proof":            optional(message),
	"pgharbor.v1.Backup.scrubbed_at":      optional(moment),
	"pgharbor.v1.Backup.damage":           words(2000),
	"pgharbor.v1.Backup.globals":          optional(message),
	"pgharbor.v1.Backup.sequence":         number(1 << 53),
	"pgharbor.v1.Backup.previous_sha256":  optional(hash),
	"pgharbor.v1.Backup.signed_by":        words(64),
	"pgharbor.v1.Backup.unproven_origin":  words(64),
	"pgharbor.v1.Backup.kind":             words(64),
	"pgharbor.v1.Backup.subject":          words(64),
	"pgharbor.v1.Backup.depends_on":       list(1000, id),
	"pgharbor.v1.TableRows.schema":        postgresName,
	"pgharbor.v1.TableRows.name":          postgresName,
	"pgharbor.v1.TableRows.rows":          number(1 << 53),
	"pgharbor.v1.Globals.filename":        name(255),
	"pgharbor.v1.Globals.size_bytes":      size,
	"pgharbor.v1.Globals.sha256":          hash,
	"pgharbor.v1.Globals.passwords":       flag,
	"pgharbor.v1.Globals.roles":           list(20_000, postgresName),
	"pgharbor.v1.Retention.status":        words(64),
	"pgharbor.v1.Retention.expires_at":    optional(moment),
	"pgharbor.v1.Retention.reason":        words(500),
	"pgharbor.v1.Proof.state":             name(64),
	"pgharbor.v1.Proof.finished_at":       moment,
	"pgharbor.v1.Proof.server_version":    words(100),
	"pgharbor.v1.Proof.method":            words(64),
	"pgharbor.v1.Proof.restore_took":      optional(duration),
	"pgharbor.v1.Proof.took":              optional(duration),
	"pgharbor.v1.Proof.tables":            count(1 << 30),
	"pgharbor.v1.Proof.rows":              number(1 << 53),
	"pgharbor.v1.Proof.differences":       list(100, words(1000)),
	"pgharbor.v1.Proof.refuses":           words(1000),

	// ---- the audit log's witness
	"pgharbor.v1.TrailHead.sequence":    number(1 << 53),
	"pgharbor.v1.TrailHead.hash":        hash,
	"pgharbor.v1.TrailHead.at":          moment,
	"pgharbor.v1.TrailHead.signature":   raw(256),
	"pgharbor.v1.TrailHead.certificate": raw(8 << 10),
	"pgharbor.v1.TrailHead.begins_anew": flag,

	// ---- files
	"pgharbor.v1.UploadRequest.header":     message,
	"pgharbor.v1.UploadRequest.chunk":      raw(4 << 20), // the server's bound of any message
	"pgharbor.v1.UploadHeader.transfer_id": id,
	"pgharbor.v1.UploadHeader.manifest":    raw(4 << 20),
	"pgharbor.v1.FetchRequest.transfer_id": id,

	// ---- identity
	"pgharbor.v1.EnrollRequest.secret":           name(256),
	"pgharbor.v1.EnrollRequest.csr":              raw(16 << 10),
	"pgharbor.v1.EnrollRequest.device":           name(256),
	"pgharbor.v1.EnrollRequest.kind":             name(16),
	"pgharbor.v1.RenewCertificateRequest.csr":    raw(16 << 10),
	"pgharbor.v1.SyncAuthoritiesRequest.trusted": list(100, name(128)),
	"pgharbor.v1.SyncAuthoritiesRequest.issuer":  name(128),
	"grpc.health.v1.HealthCheckRequest.service":  name(0), // each other name would stay in memory
}

const (
	maxName     = 256     // bytes of a name of Postgres, which allows 63 unless it was built otherwise
	maxWords    = 8 << 10 // bytes of a tool's own words
	maxReportID = 64
	maxBackup   = 2 << 20 // bytes of all that is said of one backup; agents cut it to half of that
	maxSpan     = 10 * 365 * 24 * time.Hour
)

// The times that make sense: pgharbor is younger than the first, and the last is
// what a clock that is years ahead can say. What such a clock must not do is held
// where a time counts: what has been is not ahead (happened, notAfter, forgetAhead,
// fleet.ClockSkew), and what is in a manifest stays as it is there.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)
