package job

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Private makes a folder for files that hold secrets while this process needs
// them, such as a passfile, and removes those of processes that are gone.
// Release removes the folder with all that is in it.
func (s *State) Private() (dir string, release func() error, err error) {
	parent := filepath.Join(s.dir, "private")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", nil, fmt.Errorf("state folder: %w", err)
	}
	if err := removeOrphans(parent); err != nil {
		return "", nil, fmt.Errorf("state folder: %w", err)
	}
	dir, err = os.MkdirTemp(parent, "")
	if err != nil {
		return "", nil, fmt.Errorf("state folder: %w", err)
	}
	lock, err := openLocked(filepath.Join(dir, "lock"), unix.LOCK_EX|unix.LOCK_NB)
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
