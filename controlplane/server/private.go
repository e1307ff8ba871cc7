package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/secretfile"
)

// keepPrivate refuses a data folder whose keys or catalog others may change, and takes from them
// what a copy that was not careful lets them read. What they may have read of a key they keep, so
// it is said.
func keepPrivate(dir string, log *slog.Logger) error {
	for _, folder := range []string{dir, filepath.Join(dir, pkiFolder)} {
		info, err := os.Stat(folder)
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o022 != 0 {
			return refuseShared(folder, fmt.Errorf("%w: its mode is %04o", secretfile.ErrChangeable, mode))
		} else if mode&0o077 != 0 {
			if err := closeUp(folder, 0o700); err != nil { // what is in it is looked at below
				return err
			}
		}
	}
	secrets, err := filepath.Glob(filepath.Join(dir, pkiFolder, "*.key"))
	if err != nil {
		return err
	}
	for _, path := range append(secrets, filepath.Join(dir, catalogFile)) {
		switch err := secretfile.Check(path); {
		case errors.Is(err, secretfile.ErrChangeable):
			return refuseShared(path, err)
		case errors.Is(err, secretfile.ErrReadable):
			if err := closeUp(path, 0o600); err != nil {
				return err
			}
			log.Warn("a file of the control plane was not private, and is now: anyone who has read it knows what it says", "file", path, "was", err)
		}
	}
	return nil
}

func refuseShared(path string, err error) error {
	return fleet.NewProblem(fleet.ErrInvalid, "%s: %v", path, err).
		WithHint("see who changed it, then: chmod -R go-rwx %s", path)
}

// closeUp leaves what belongs to somebody else as it is: it is theirs to change.
func closeUp(path string, mode fs.FileMode) error {
	if err := os.Chmod(path, mode); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
