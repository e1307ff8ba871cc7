package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pgharbor/pgharbor/internal/disk"
)

// Private makes a folder for files that hold secrets while this process needs
// them, such as a passfile, and removes those of processes that are gone.
// Release removes the folder with all that is in it.
func (f *Folder) Private() (dir string, release func() error, err error) {
	parent := filepath.Join(f.dir, "private")
	if err := makePrivate(parent); err != nil {
		return "", nil, fmt.Errorf("state folder: %w", err)
	}
	// Between the making of a folder and its lock, another process would take it for one of somebody who is gone.
	making, err := lockFolder(parent)
	if err != nil {
		return "", nil, fmt.Errorf("state folder: %w", err)
	}
	defer making.Close()
	if err := removeOrphans(parent); err != nil {
		return "", nil, fmt.Errorf("state folder: %w", err)
	}
	dir, err = os.MkdirTemp(parent, "")
	if err != nil {
		return "", nil, fmt.Errorf("state folder: %w", err)
	}
	lock, err := openLocked(filepath.Join(dir, "lock"), disk.TryLock)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("state folder: %w", err), os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
}

func removeOrphans(parent string) error {
	folders, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		// Without its lock it was made this moment, and holds nothing yet.
		lock, _, err := takeFile(filepath.Join(parent, folder.Name(), "lock"))
		if err != nil {
			return err
		}
		if lock == nil {
			continue
		}
		if err := errors.Join(os.RemoveAll(filepath.Join(parent, folder.Name())), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

// ErrShared reports that others may write to a folder that has to be the agent's own.
var ErrShared = errors.New("others may write to it")

// ownFolders refuses the state folder if it is shared, and makes one below it.
func ownFolders(dir, below string) error {
	if err := refuseShared(dir); err != nil {
		return err
	}
	return makePrivate(below)
}

func refuseShared(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s (mode %04o): %w", dir, info.Mode().Perm(), ErrShared)
	}
	return nil
}

// makePrivate makes a folder of the agent's own, and takes from everybody else what
// one that is there gives them.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a folder has to be entered
}

// LockHolds makes this process the one that holds, releases or removes backups,
// and waits for another one.
func (f *Folder) LockHolds() (release func(), err error) {
	lock, err := openLocked(filepath.Join(f.dir, "holds.lock"), disk.Lock)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return func() { _ = lock.Close() }, nil // nothing was written to it
}
