package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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

// lockFolder waits for the lock of a folder, which is held for moments: while something is made in
// it that is to have a lock of its own, and while what has none is removed. Close ends it.
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

// isAt reports whether f is still the file that path names.
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

// takeFile opens and locks a file and reads it. The file is nil if somebody else holds its lock, or
// has removed it meanwhile.
func takeFile(path string) (*os.File, []byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	err = disk.TryLock(f)
	if errors.Is(err, disk.ErrLocked) {
		return nil, nil, f.Close()
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	there, err := isAt(f, path)
	if err != nil || !there {
		return nil, nil, errors.Join(err, f.Close())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, content, nil
}

// removeUnlocked removes a file unless somebody holds its lock.
func removeUnlocked(path string) error {
	f, _, err := takeFile(path)
	if err != nil || f == nil {
		return err
	}
	return errors.Join(os.Remove(path), f.Close())
}

// removeTemporary removes what writeLocked left in dir when it was killed.
func removeTemporary(dir string) error {
	making, err := lockFolder(dir)
	if err != nil {
		return err
	}
	defer making.Close()
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), ".") || !strings.HasSuffix(file.Name(), temporarySuffix) {
			continue
		}
		if err := removeUnlocked(filepath.Join(dir, file.Name())); err != nil {
			return err
		}
	}
	return nil
}
