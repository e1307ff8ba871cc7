package job

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgharbor/pgharbor/internal/disk"
)

const temporarySuffix = ".tmp"

// writeLocked makes dir/name hold content, durably and all or nothing: a
// temporary file, fsync, rename, fsync of the folder. The file is returned open
// and with its flock held, which ends with Close or with the process.
func writeLocked(dir, name string, content []byte) (_ *os.File, err error) {
	temporary := filepath.Join(dir, "."+name+temporarySuffix)
	f, err := makeLocked(dir, temporary)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			_ = os.Remove(temporary) // it may have its name already; the error that counts is known
		}
	}()
	if _, err := f.Write(content); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := os.Rename(temporary, filepath.Join(dir, name)); err != nil {
		return nil, err
	}
	return f, disk.SyncFolder(dir)
}

// makeLocked makes a file in dir and locks it, so that nobody who clears dir of what has no lock meets it in between.
func makeLocked(dir, path string) (*os.File, error) {
	making, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	defer making.Close()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := disk.TryLock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lockFolder waits for the lock of a folder, which is held for moments: while something is made in it that is to have a lock
// of its own, and while what has none is removed. Close ends it.
func lockFolder(dir string) (*os.File, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := disk.Lock(folder); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return folder, nil
}

// openLocked opens (and makes) a file that exists only to be locked, by disk.Lock or disk.TryLock.
func openLocked(path string, lock func(*os.File) error) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// isAt says whether f is still the file that path names.
func isAt(f *os.File, path string) (bool, error) {
	open, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(open, named), nil
}
