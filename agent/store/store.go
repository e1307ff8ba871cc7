// Package store keeps sealed backups on a local disk. A backup is a file and the manifest beside it; the manifest is
// written last and is the commit record: no manifest, no backup. Whatever happens between two steps, a later look shows
// either no backup or a whole one.
package store

import (
	"errors"
	"io"
	"iter"
	"time"
)

var (
	// ErrLocked says that another run, of this process or of another, works on the database.
	ErrLocked = errors.New("another run has this database locked")
	// ErrName says that a name is none that the store would give a file.
	ErrName = errors.New("not a name of a backup")
	// ErrMoved says that the folder's path no longer leads to the folder that was opened: a mount came or went.
	ErrMoved = errors.New("the backup folder is not the one that was opened")
)

// Location names a stored file.
type Location struct {
	Database string // as Postgres has it; empty for a file that stands directly in the store's folder
	File     string // the file's name, without folders
}

// Entry is a backup as the store sees it; what the manifest says is for its reader to judge.
type Entry struct {
	Location
	Manifest []byte    // as stored; the caller's to keep
	Size     int64     // bytes of the file now; -1 where the file is missing
	ModTime  time.Time // of the file, UTC; zero where it is missing
}

// Store is an open folder of backups. It is safe for concurrent use; of one database, one run at a time may write,
// which is what Lock is for.
type Store struct{}

// Open opens the folder dir, making it (0700) where it does not exist.
func Open(dir string) (*Store, error) { return nil, errors.ErrUnsupported }

// Close releases the folder. Files and locks that are open stay usable.
func (s *Store) Close() error { return errors.ErrUnsupported }

// Dir returns the folder as it was given to Open.
func (s *Store) Dir() string { return "" }

// Path returns the path of a stored file, for people and logs.
func (s *Store) Path(loc Location) string { return "" }

// Lock takes the database for one run, by flock, so that the end of the process frees it too. It does not wait:
// ErrLocked says that somebody else has it. Unlock may be called more than once.
func (s *Store) Lock(database string) (unlock func(), err error) {
	return nil, errors.ErrUnsupported
}

// Create begins a backup of database under a hidden name that no reader takes for one. The caller holds the database's
// lock. baseName is backup-YYYY-MM-DD-HH-mm-ss.{sql|dump}[.zst][.enc]; runID is 1 to 64 characters of [a-z0-9-].
func (s *Store) Create(database, baseName, runID string) (*File, error) {
	return nil, errors.ErrUnsupported
}

// File is a backup being written, by one goroutine. It ends by Commit or Abort.
type File struct{}

// Write appends p; large writes are best. After an error only Abort is left.
func (f *File) Write(p []byte) (int, error) { return 0, errors.ErrUnsupported }

// Commit makes the backup durable and visible: fsync of the file, its name (where that is taken, the next second that
// is free), fsync of the folder, the manifest, fsync of the folder. The manifest is asked for once the name stands.
// After an error nothing of the backup is left, as far as the disk still obeys; Sweep clears the rest.
func (f *File) Commit(manifest func(Location) ([]byte, error)) (Location, error) {
	return Location{}, errors.ErrUnsupported
}

// Abort removes what was written. After Commit or Abort it does nothing.
func (f *File) Abort() error { return errors.ErrUnsupported }

// Manifests goes through all backups: of each the entry, or an error that names the file which could not be read. Such an
// error does not end the walk. Files that are none of ours are passed over.
func (s *Store) Manifests() iter.Seq2[Entry, error] { return nil }

// Loose lists the backup-*.sql[.enc] that stand directly in the folder without a manifest, as the old script left them.
// Their Manifest is nil.
func (s *Store) Loose() ([]Entry, error) { return nil, errors.ErrUnsupported }

// Adopt writes the manifest of a file that stands without one. It never replaces a manifest: fs.ErrExist.
func (s *Store) Adopt(loc Location, manifest []byte) error { return errors.ErrUnsupported }

// Open opens a stored file for reading; fs.ErrNotExist where it is gone. Symbolic links are not followed.
func (s *Store) Open(loc Location) (io.ReadSeekCloser, error) { return nil, errors.ErrUnsupported }

// ReadManifest returns the manifest of a backup; fs.ErrNotExist where there is none.
func (s *Store) ReadManifest(loc Location) ([]byte, error) { return nil, errors.ErrUnsupported }

// Remove removes a backup, the manifest first: after a crash in between there is no backup, and removing again takes the
// file. What is gone already is no error.
func (s *Store) Remove(loc Location) error { return errors.ErrUnsupported }

// Sweep removes what broken runs left in databases whose lock is free: partial files, and a file that got its name but no
// manifest, known by being the same file as its partial. It returns the names of what it removed.
func (s *Store) Sweep() (removed []string, err error) { return nil, errors.ErrUnsupported }

// Free returns the bytes that this process may still write to the disk.
func (s *Store) Free() (int64, error) { return 0, errors.ErrUnsupported }
