// Package disk has what every program of pgharbor does with files beyond package os: names that
// survive a crash, and locks that end with the process.
package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked reports that another process holds a lock that was not waited for.
var ErrLocked = errors.New("locked by another process")

// SyncFolder makes the names in a folder durable. Without it a crash may take back a rename that
// the program has relied on.
func SyncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Lock waits until no other open file of the same name has the lock. The lock ends when f is
// closed, and with the process.
func Lock(f *os.File) error { return flock(f, unix.LOCK_EX) }

// TryLock is Lock without waiting: it returns ErrLocked.
func TryLock(f *os.File) error { return flock(f, unix.LOCK_EX|unix.LOCK_NB) }

func flock(f *os.File, how int) error {
	for {
		switch err := unix.Flock(int(f.Fd()), how); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR): // a signal for this process, as the runtime sends itself
		case errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("%s: %w", f.Name(), ErrLocked)
		default:
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}
