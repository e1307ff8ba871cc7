// Package local keeps sealed backups in a folder on a local disk. A backup is a file and the manifest beside it; the manifest is
// written last and is the commit record: no manifest, no backup. Whatever happens between two steps, a later look shows
// either no backup or a whole one.
package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/internal/disk"
)

// Store is an open folder of backups, and implements backup.Store. It is safe for concurrent use; of one database, one
// run at a time may write, which is what Lock is for.
type Store struct {
	path    string
	top     *folder
	reserve *int64 // nil: by store.ReserveOf
	// statfs stands in for a disk that is full, in tests.
	statfs func() (unix.Statfs_t, error)
}

// Open opens the folder dir, making it (0700) where it does not exist.
func Open(dir string) (*Store, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	top, err := newFolder(root, nil)
	if err != nil {
		return nil, err
	}
	return &Store{path: path, top: top}, nil
}

// Close releases the folder. Files and locks that are open stay usable.
func (s *Store) Close() error { return s.top.close() }

// Dir returns the folder's absolute path.
func (s *Store) Dir() string { return s.path }

// Path returns the path of a stored file.
func (s *Store) Path(loc store.Location) string {
	if loc.Database == "" {
		return filepath.Join(s.path, loc.File)
	}
	name, err := encode(loc.Database)
	if err != nil {
		return ""
	}
	return filepath.Join(s.path, name, loc.File)
}

// Describe names a stored file for people and logs, by its path.
func (s *Store) Describe(loc store.Location) string { return s.Path(loc) }

// Usable says why nothing can be stored now, or nil: a mount came or went, the disk is read-only, a right is missing.
func (s *Store) Usable() error {
	if err := s.unmoved(); err != nil {
		return err
	}
	return wrapPath("write to", s.path, unix.Faccessat(int(s.top.dir.Fd()), ".", unix.W_OK|unix.X_OK, 0))
}

// Lock takes the database for one run, by flock, so that the end of the process frees it too. It does not wait:
// store.ErrLocked reports that somebody else has it. The empty name stands for the files directly in the folder. Unlock may be
// called more than once.
func (s *Store) Lock(database string) (unlock func(), err error) {
	d, err := s.makeFolder(database)
	if err != nil {
		return nil, err
	}
	defer d.close()
	f, err := d.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := disk.TryLock(f); err != nil {
		_ = f.Close()
		if errors.Is(err, disk.ErrLocked) {
			return nil, fmt.Errorf("database %q: %w", database, store.ErrLocked)
		}
		return nil, wrapPath("flock", s.Path(store.Location{Database: database, File: lockName}), err)
	}
	return sync.OnceFunc(func() { _ = f.Close() }), nil
}

// folder opens the folder of a database; fs.ErrNotExist where there is none. The caller closes it.
func (s *Store) folder(database string) (*folder, error) {
	if err := s.unmoved(); err != nil {
		return nil, err
	}
	name := "."
	if database != "" {
		var err error
		if name, err = encode(database); err != nil {
			return nil, err
		}
		info, err := s.top.root.Lstat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, wrapPath("open", name, syscall.ENOTDIR)
		}
	}
	root, err := s.top.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return newFolder(root, s.top.fault)
}

// makeFolder is folder, for one that is made where it does not exist, and that
// gives others nothing.
func (s *Store) makeFolder(database string) (*folder, error) {
	d, err := s.folder(database)
	if err == nil && database != "" {
		if err := d.makePrivate(); err != nil {
			return nil, errors.Join(err, d.close())
		}
	}
	if !errors.Is(err, fs.ErrNotExist) || database == "" {
		return d, err
	}
	name, err := encode(database)
	if err != nil {
		return nil, err
	}
	if err := s.top.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := s.top.settleNames(); err != nil {
		return nil, err
	}
	return s.folder(database)
}

// unmoved makes sure that nothing is read or written below a mount that came or went after Open.
func (s *Store) unmoved() error {
	opened, err := s.top.dir.Stat()
	if err != nil {
		return err
	}
	now, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrMoved, err)
	}
	if !os.SameFile(opened, now) {
		return fmt.Errorf("%w: %s", store.ErrMoved, s.path)
	}
	return nil
}
