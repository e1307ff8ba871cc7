package server

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/disk"
)

// lock makes this process the only one that works in a data folder. The kernel
// gives the lock up when the process ends, however it ends.
func lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := disk.TryLock(file); err != nil {
		_ = file.Close()
		if errors.Is(err, disk.ErrLocked) {
			return nil, fleet.NewProblem(fleet.ErrConflict, "another control plane is running in %s", dir)
		}
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}
