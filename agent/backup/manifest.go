package backup

import (
	"time"
)

// ManifestVersion is the version that is written. A reader refuses a higher one.
const ManifestVersion = 1

// Triggers of a backup.
const (
	TriggerSchedule = "schedule"
	TriggerManual   = "manual"
	TriggerAdopted  = "adopted"
)

// Compressions of a dump.
const (
	CompressionNone = "none"
	CompressionZstd = "zstd"
)

// Manifest describes a backup. It stands beside the file as <file>.manifest.json, is written last and is the commit
// record: a file without one is no backup.
type Manifest struct {
	Version     int        `json:"version"`
	ID          string     `json:"id"`
	RunID       string     `json:"run_id"`
	Instance    string     `json:"instance"`
	Database    string     `json:"database"`
	Filename    string     `json:"filename"` // without folders
	Format      string     `json:"format"`
	Compression string     `json:"compression"`
	Encryption  Encryption `json:"encryption"`

	// Size and hash (SHA-256, lower-case hexadecimal) of the file as it is stored.
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
	// The same of the dump, before compression and encryption; empty for an adopted file that could not be opened.
	PlainSizeBytes int64  `json:"plain_size_bytes"`
	PlainSHA256    string `json:"plain_sha256"`

	// CreatedAt is the age that the backup has: when its dump started. All times are UTC.
	CreatedAt  time.Time `json:"created_at"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
	Trigger    string    `json:"trigger"`

	ServerVersion  string `json:"server_version"`
	PgDumpVersion  string `json:"pg_dump_version"`
	Encoding       string `json:"encoding"`
	Collation      string `json:"collation"`
	CType          string `json:"ctype"`
	LocaleProvider string `json:"locale_provider,omitempty"` // "libc", "icu" or "builtin"
	Locale         string `json:"locale,omitempty"`          // of the providers icu and builtin

	// Complete says that the dump's own end marker went by; false only for adopted files, which then count for nothing.
	Complete bool        `json:"complete"`
	Warnings []string    `json:"warnings,omitempty"` // of pg_dump, which exited 0
	Tables   []TableRows `json:"tables"`
}

// Encryption is how a file is sealed.
type Encryption struct {
	Scheme     string `json:"scheme"` // seal.SchemeNone or another
	KDF        string `json:"kdf,omitempty"`
	Iterations int    `json:"iterations,omitempty"`
}
