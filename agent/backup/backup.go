// Package backup is the pipeline, both ways, and the manifest. A backup is a dump that was read to pg_dump's own end,
// sealed, hashed and stored in one pass; a restore verifies the whole file before its first byte reaches Postgres, and
// fills a fresh database that gets its name at the very end.
package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/store"
)

var (
	// ErrDamaged says that a file is not what was stored: its size, hash or format does not hold.
	ErrDamaged = errors.New("the file is damaged")
	// ErrIncomplete says that a dump has no end marker.
	ErrIncomplete = errors.New("the dump is incomplete: it has no end marker")
	// ErrNoPassphrase says that a file is sealed and no passphrase is at hand.
	ErrNoPassphrase = errors.New("the file is encrypted and no passphrase is configured")
	// ErrWrongPassphrase says that a file is sealed with none of the passphrases at hand.
	ErrWrongPassphrase = errors.New("the passphrase is wrong")
	// ErrTargetExists says that the database to restore into exists.
	ErrTargetExists = errors.New("the target database exists already")
	// ErrNotFound says that there is no such backup, or its file is gone.
	ErrNotFound = errors.New("no such backup")
	// ErrBusy says that another run works on the database.
	ErrBusy = errors.New("another run works on this database")
)

// Words of a failure, for the wire and for exit codes.
const (
	FailureIntegrity  = "integrity"
	FailurePassphrase = "passphrase"
	FailureExists     = "exists"
	FailureNotFound   = "not-found"
	FailureOther      = "failed"
)

// Failure returns the word for what went wrong; "" for no error.
func Failure(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrIncomplete):
		return FailureIntegrity
	case errors.Is(err, ErrNoPassphrase), errors.Is(err, ErrWrongPassphrase):
		return FailurePassphrase
	case errors.Is(err, ErrTargetExists):
		return FailureExists
	case errors.Is(err, ErrNotFound), errors.Is(err, postgres.ErrNoDatabase):
		return FailureNotFound
	default:
		return FailureOther
	}
}

// Phases of a Progress.
const (
	PhaseDump    = "dump"
	PhaseVerify  = "verify"
	PhaseRestore = "restore"
	PhaseAnalyze = "analyze"
)

// Progress says how far a run is. TotalBytes is 0 where the end is not known; of a dump it is an estimate.
type Progress struct {
	Phase      string
	DoneBytes  int64
	TotalBytes int64
}

// Engine makes and restores backups of one instance. It is safe for concurrent use; of one database it makes one
// backup at a time.
type Engine struct {
	Instance     *postgres.Instance
	Store        *store.Store
	Passphrases  seal.Passphrases
	Format       string         // postgres.FormatPlain, or FormatCustom; empty is plain
	Compression  string         // CompressionNone or CompressionZstd; empty is none
	InstanceName string         // goes into the manifest
	Location     *time.Location // of the time in file names; nil is UTC
	Now          func() time.Time
}

// BackupRequest asks for a backup of one database.
type BackupRequest struct {
	RunID      string // 1 to 64 characters of [a-z0-9-]
	Database   string
	Trigger    string         // TriggerSchedule or TriggerManual
	OnProgress func(Progress) // may be nil; called now and then, from one goroutine at a time
}

// Backup dumps one database into the store and returns the manifest that was stored with it. After an error, the end of
// ctx included, nothing of the backup is left in the store. ErrBusy where the database's lock is taken.
func (e *Engine) Backup(ctx context.Context, req BackupRequest) (Manifest, error) {
	return Manifest{}, errors.ErrUnsupported
}

// RestoreRequest asks to restore a file into a new database.
type RestoreRequest struct {
	// Path is the file; for a stored backup, Store.Path(stored.Location).
	Path string
	// Manifest is what the file is held against. Nil for a file that has none, which is then verified as far as it can
	// be: it opens, and it has the end marker of a dump.
	Manifest *Manifest
	// Target is the database to make; it must not exist.
	Target string
	// RestoreID names the temporary database, pgharbor_restore_<id>: 1 to 40 characters of [a-z0-9-].
	RestoreID  string
	OnProgress func(Progress) // as in BackupRequest
}

// Restore verifies a file as a whole, restores it into a temporary database and gives that the target's name at the
// very end. After an error the temporary database is gone, unless the server is too: then CleanUp drops it.
func (e *Engine) Restore(ctx context.Context, req RestoreRequest) error {
	return errors.ErrUnsupported
}

// RunRecord is what is known of a run whose process died.
type RunRecord struct {
	ID      string // RunID or RestoreID
	Restore bool
}

// CleanUp removes what a dead run left: of a backup the partial file, of a restore the temporary database. It returns
// what was removed. It may be called again, and must be after an error.
func (e *Engine) CleanUp(ctx context.Context, run RunRecord) (removed []string, err error) {
	return nil, fmt.Errorf("clean up: %w", errors.ErrUnsupported)
}
