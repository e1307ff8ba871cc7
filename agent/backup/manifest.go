package backup

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/pgharbor/pgharbor/agent/scan"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// ManifestVersion is the version that is written. A reader refuses a higher one.
const ManifestVersion = 1

// Triggers of a backup.
const (
	TriggerSchedule = "schedule"
	TriggerManual   = "manual"
	TriggerImported = "adopted"
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
	Kind        string     `json:"kind,omitempty"`    // the word of a subject.Kind; empty in manifests of before. Ask Series
	Subject     string     `json:"subject,omitempty"` // the word of a subject.Subject; likewise
	Database    string     `json:"database"`          // empty where the subject is no database, or its name is not known
	Filename    string     `json:"filename"`          // without folders
	Format      string     `json:"format"`
	Compression string     `json:"compression"`
	Encryption  Encryption `json:"encryption"`

	// Size and hash (SHA-256, lower-case hexadecimal) of the file as it is stored.
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
	// The same of the dump, before compression and encryption; empty for an imported file that could not be opened.
	PlainSizeBytes int64  `json:"plain_size_bytes"`
	PlainSHA256    string `json:"plain_sha256"`

	// DependsOn are the ids of the backups without which this one can't be restored; nil for a dump, which stands alone.
	DependsOn []string `json:"depends_on,omitempty"`

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

	// Globals describes the globals file; nil where the backup has none.
	Globals *Globals `json:"globals,omitempty"`

	// Complete says that the dump's own end marker went by; false only for imported files, which then count for nothing.
	Complete bool             `json:"complete"`
	Warnings []string         `json:"warnings,omitempty"` // of pg_dump, which exited 0
	Tables   []scan.TableRows `json:"tables"`
	// Needs is nil in manifests of before this was looked for.
	Needs *scan.Needs `json:"needs,omitempty"`

	// UnknownOrigin is set where the database had been restored from a file of which nothing proved who made it; nil for all
	// others. An agent's signature says then that the dump is of that database, and vouches for nothing that is in it.
	UnknownOrigin *UnknownOrigin `json:"unproven,omitempty"`

	// Sequence and PreviousSHA256 place the manifest among those of its database that the same key signed: from 1 on,
	// ascending, and the hash of the stored manifest before it, which may be gone by now. Zero and empty without a signature.
	Sequence       int64  `json:"sequence,omitempty"`
	PreviousSHA256 string `json:"previous_sha256,omitempty"`
	// PassphraseMAC shows that who wrote the manifest had the passphrase; nil where nothing was sealed.
	PassphraseMAC *seal.PassphraseMAC `json:"proof,omitempty"`
	// Signature is the agent's; nil for manifests from before agents signed. See certify for what it covers.
	Signature *Signature `json:"signature,omitempty"`
}

// Encryption is how a file is encrypted.
type Encryption = seal.Encryption

// Series is what the backup is of, and of which kind. A manifest of before there were kinds is of a logical dump of its
// database.
func (m Manifest) Series() subject.Series {
	of, _ := subject.Read(m.Subject, m.Database) // ParseManifest has refused one that contradicts itself
	return subject.Series{Subject: of, Kind: subject.ReadKind(m.Kind)}
}

// ofSeries returns the manifest with the words of a series.
func (m Manifest) ofSeries(s subject.Series) Manifest {
	m.Kind, m.Subject = s.Kind.Word(), s.Subject.Word()
	m.Database, _ = s.Subject.Database()
	return m
}

// Restorable returns nil for a dump: a restore loads that into a database, and a test restore counts its rows. A file
// without a manifest is taken for one. subject.ErrNewer says that only a newer pgharbor knows what to do with the backup.
func (m *Manifest) Restorable() error {
	if m == nil || m.Series().Kind == subject.Logical && m.Series().Check() == nil {
		return nil
	}
	return cmp.Or(m.Series().Check(), errNoDump)
}

// marshal returns the manifest as it is stored.
func (m Manifest) marshal() ([]byte, error) {
	if m.Tables == nil {
		m.Tables = []scan.TableRows{}
	}
	data, err := json.MarshalIndent(m, "", "  ")
	return append(data, '\n'), err
}

// ParseManifest reads a stored manifest and refuses one whose version is of a newer pgharbor or, by ErrDamaged, that lacks
// what it is for. A kind or a subject that is not known is read: such a backup is kept, and not restored.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Manifest{}, fmt.Errorf("%w: manifest: %w", ErrDamaged, err)
	}
	switch {
	case m.Version > ManifestVersion:
		return Manifest{}, fmt.Errorf("manifest: version %d is of a newer pgharbor; this one knows up to %d", m.Version, ManifestVersion)
	case m.Version < 1 || m.ID == "" || m.Filename == "" || m.SHA256 == "" || m.SizeBytes < 0 || m.CreatedAt.IsZero():
		return Manifest{}, fmt.Errorf("%w: manifest: version, id, filename, sha256, size_bytes or created_at is missing", ErrDamaged)
	case m.Filename != filepath.Base(m.Filename):
		return Manifest{}, fmt.Errorf("%w: manifest: %q is not the name of a file", ErrDamaged, m.Filename)
	case m.Globals != nil && (m.Globals.SHA256 == "" || m.Globals.SizeBytes < 0):
		return Manifest{}, fmt.Errorf("%w: manifest: size_bytes or sha256 of its globals is missing", ErrDamaged)
	}
	if _, err := subject.Read(m.Subject, m.Database); err != nil {
		return Manifest{}, fmt.Errorf("%w: manifest: %w", ErrDamaged, err)
	}
	return m, nil
}
