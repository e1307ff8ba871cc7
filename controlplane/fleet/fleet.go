// Package fleet is the domain of the control plane: what a fleet consists of, the words for its
// states, and the rules that evaluate it. It depends on the standard library and on words, ids and
// quoting alone, and does no I/O.
//
// Every time is UTC, every size is in bytes, and a zero time means "not yet"
// or "not known".
package fleet

import (
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/internal/random"
	"github.com/pgharbor/pgharbor/internal/subject"
	"github.com/pgharbor/pgharbor/internal/words"
)

// NewID returns an unguessable id for a job or an enrolment: 16 characters of
// base32, 80 bits.
func NewID() string { return random.ID() }

// ValidID reports whether an id that somebody sent has the form of NewID's. Ids
// from agents are checked before they get near a query, a path or a terminal.
func ValidID(id string) bool {
	if len(id) != 16 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// Agent is the agent next to one PostgreSQL instance; the instance carries its name.
type Agent struct {
	Name       string
	CreatedAt  time.Time
	EnrolledAt time.Time
	RevokedAt  time.Time
	LastSeenAt time.Time
	Version    string
	Status     AgentStatus
	// ClockOffset is how far its clock was ahead of ours at its last word.
	ClockOffset time.Duration
	// InventoryDigest is the agent's own digest of the inventory that the
	// catalog took over last.
	InventoryDigest string
	Duplicate       Duplicate
	// Refused is what was not taken of what it said.
	Refused Refusal
}

// AgentStatus is what an agent says of itself; kept as JSON in the catalog.
type AgentStatus struct {
	ServerVersion  string             `json:"server_version,omitempty"`
	DumpVersion    string             `json:"pg_dump_version,omitempty"`
	BackupsEnabled bool               `json:"backups_enabled,omitempty"`
	Schedule       string             `json:"schedule,omitempty"`
	Timezone       string             `json:"timezone,omitempty"`
	NextRunAt      time.Time          `json:"next_run_at,omitzero"`
	NextPurgeAt    time.Time          `json:"next_purge_at,omitzero"`
	RetentionDays  int                `json:"retention_days,omitempty"`
	KeepLast       int                `json:"keep_last,omitempty"`
	Encrypting     bool               `json:"encrypting,omitempty"`
	VerifySchedule string             `json:"verify_schedule,omitempty"`
	NextVerifyAt   time.Time          `json:"next_verify_at,omitzero"`
	ScrubDays      int                `json:"scrub_days,omitempty"`
	Databases      []InstanceDatabase `json:"databases,omitempty"`
	Warnings       []string           `json:"warnings,omitempty"`
	// FreeBytes is what the disk of the backup folder has left; nil if the agent did not say.
	FreeBytes *int64 `json:"free_bytes,omitempty"`
	// FolderWarning is why the backup folder can't be used, or empty.
	FolderWarning string `json:"folder_trouble,omitempty"`
	// RetentionBlocked is why retention removes nothing, or empty.
	RetentionBlocked string `json:"retention_blocked,omitempty"`
	// KeyWarning is which backups are encrypted and can't be opened with the keys that the host has
	// now, or empty.
	KeyWarning string `json:"key_warning,omitempty"`
	// CertificateEndsAt and CertificateLife are of the agent's own certificate.
	CertificateEndsAt time.Time     `json:"certificate_ends_at,omitzero"`
	CertificateLife   time.Duration `json:"certificate_life,omitempty"`
	// Refused is what of this status the control plane did not take, a sentence each.
	Refused []string `json:"refused,omitempty"`
	// Policy is what the agent's host lets the control plane ask for; nil if an older agent does
	// not say.
	Policy *HostPolicy `json:"policy,omitempty"`
}

// HostPolicy is what an agent's host lets the control plane ask for, as the agent
// tells it: to be shown, and not to be decided by.
type HostPolicy struct {
	Jobs             []string `json:"jobs,omitempty"`
	Replace          bool     `json:"replace,omitempty"`
	RestoreFrom      []string `json:"restore_from,omitempty"`
	Unproven         bool     `json:"unproven,omitempty"`
	SuperuserRoles   bool     `json:"superuser_roles,omitempty"`
	TrustContent     bool     `json:"trust_content,omitempty"`
	ReleaseHostHolds bool     `json:"release_host_holds,omitempty"`
	// Warning is why the policy can't be used; then nothing is allowed.
	Warning string `json:"trouble,omitempty"`
}

// String is the policy in a line.
func (p HostPolicy) String() string {
	if p.Warning != "" {
		return "nothing is allowed (" + p.Warning + ")"
	}
	return fmt.Sprintf("jobs %q, replace %t, restore_from %q, unproven %t, superuser_roles %t, trust_content %t, release_host_holds %t",
		p.Jobs, p.Replace, p.RestoreFrom, p.Unproven, p.SuperuserRoles, p.TrustContent, p.ReleaseHostHolds)
}

// InstanceDatabase is a database that exists on an instance.
type InstanceDatabase struct {
	Name string `json:"name"`
	// Covered: the agent's schedule backs it up.
	Covered bool `json:"covered,omitempty"`
	// SeenSince is since when the catalog knows of it; zero: from before it kept that.
	SeenSince time.Time `json:"seen_since,omitzero"`
}

// The states of a backup in the catalog.
const (
	BackupPresent = words.BackupPresent
	BackupMissing = words.BackupMissing // the agent no longer finds it, and did not remove it
	BackupDamaged = words.BackupDamaged // its file is not what was stored
	BackupRemoved = words.BackupRemoved // by retention, with a reason
)

// Backup is the sealed file of a succeeded run, as its manifest describes it.
type Backup struct {
	ID         string
	Instance   string
	Kind       string // the word of a subject.Kind; empty is a dump's. Ask Series
	Subject    string // the word of a subject.Subject; empty with a database is that one's
	Database   string // empty where the subject is no database, or its name is not known
	State      string
	CreatedAt  time.Time
	Complete   bool // false: an imported file without an end marker; does not count
	SizeBytes  int64
	RemovedAt  time.Time
	RemovedFor string
	Retention  Retention
	Manifest   Manifest
	// Suspect is why the catalog does not believe what the agent says of it; such
	// a backup counts as damaged.
	Suspect string
	// SuspectSince is when that was found.
	SuspectSince time.Time
	Findings
}

// Series is what the backup is of, and of which kind.
func (b Backup) Series() subject.Series {
	of, _ := subject.Read(b.Subject, b.Database) // what contradicts itself does not get here
	return subject.Series{Subject: of, Kind: subject.ReadKind(b.Kind)}
}

// Manifest is the part of a backup that never changes; kept as JSON in the
// catalog.
type Manifest struct {
	Filename       string    `json:"filename"`
	SHA256         string    `json:"sha256"`
	Encrypted      bool      `json:"encrypted,omitempty"`
	Format         string    `json:"format,omitempty"`
	Compression    string    `json:"compression,omitempty"`
	Encryption     string    `json:"encryption,omitempty"`
	PlainSizeBytes int64     `json:"plain_size_bytes,omitempty"`
	PlainSHA256    string    `json:"plain_sha256,omitempty"`
	RunID          string    `json:"run_id,omitempty"`
	Trigger        string    `json:"trigger,omitempty"`
	ServerVersion  string    `json:"server_version,omitempty"`
	DumpVersion    string    `json:"pg_dump_version,omitempty"`
	Encoding       string    `json:"encoding,omitempty"`
	Collation      string    `json:"collation,omitempty"`
	CType          string    `json:"ctype,omitempty"`
	StartedAt      time.Time `json:"started_at,omitzero"`
	Warnings       []string  `json:"warnings,omitempty"`
	Sequence       int64     `json:"sequence,omitempty"` // in the chain of its database and key
	PreviousSHA256 string    `json:"previous_sha256,omitempty"`
	SignedBy       string    `json:"signed_by,omitempty"`
	// UnprovenOrigin is of the file that the database had been restored from, sandboxed; empty for
	// all others.
	UnprovenOrigin string `json:"unproven_origin,omitempty"`
	// DependsOn are the ids of the backups without which it can't be restored.
	DependsOn []string    `json:"depends_on,omitempty"`
	Tables    []TableRows `json:"tables,omitempty"`
	Globals   *Globals    `json:"globals,omitempty"`
}

// Globals describes what is kept next to a backup's file: the roles and tablespaces of the
// instance, and the settings of the database.
type Globals struct {
	Filename  string   `json:"filename"`
	SizeBytes int64    `json:"size_bytes"`
	SHA256    string   `json:"sha256"`
	Passwords bool     `json:"passwords,omitempty"`
	Roles     []string `json:"roles,omitempty"`
}

// TableRows is how many rows of a table went by in a dump.
type TableRows struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
}

// Retention is what an agent's policy says of one backup.
type Retention struct {
	Status    string // "kept", "kept-last", "kept-needed" or "expired"
	ExpiresAt time.Time
	Reason    string
}

// The states of a run.
const (
	RunRunning   = words.Running
	RunSucceeded = words.Succeeded
	RunFailed    = words.Failed
)

// Run is one attempt to back up one database.
type Run struct {
	ID         string
	Instance   string
	Database   string
	Trigger    string
	State      string
	StartedAt  time.Time
	FinishedAt time.Time
	Error      string
	Warnings   []string
	BackupID   string
	JobID      string
	SizeBytes  int64
}

// RetentionSummary is what retention keeps of one database.
type RetentionSummary struct {
	Database  string
	Backups   int32
	SizeBytes int64
	Expired   int32 // go at the next purge
	KeptLast  int32 // stay only because they are the newest
	OldestAt  time.Time
	NewestAt  time.Time
}
