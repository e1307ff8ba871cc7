package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/store/local"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// foundFile is a file to restore, with the manifest next to it; nil if there is none, as for a file
// of the old script.
type foundFile struct {
	path     string
	manifest *backup.Manifest
	stored   []byte // the manifest as it is there
}

func findFile(path string) (foundFile, error) {
	found := foundFile{path: path}
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return found, &exit.Problem{Err: err, Code: exit.NotFound}
	} else if err != nil {
		return found, err
	} else if !info.Mode().IsRegular() {
		return found, usageError(fmt.Errorf("%s is no file", path))
	}
	stored, err := local.File(path).Manifest()
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	manifest, err := backup.ParseManifest(stored)
	found.manifest, found.stored = &manifest, stored
	return found, err
}

// trusts reports whether another instance's word counts here: if it was named on the command line
// or in the host's policy, and on a host that has no name in a fleet, such as the spare one of the
// worst day, if a person brings the file and the passphrase and nothing says otherwise.
func (a *agent) trusts(instance string) bool {
	if _, err := os.Lstat(a.identityDir()); errors.Is(err, fs.ErrNotExist) || instance == a.fromInstance {
		return true
	}
	allowed, err := a.policy.Read()
	if err != nil {
		a.log.Error("no other instance is trusted", "error", err)
	}
	return err == nil && allowed.Trusts(instance)
}

// originOf decides who made a file. In the backup folder a manifest must be next to its own file.
func (a *agent) originOf(file foundFile) (origin backup.Origin, err error) {
	inside := a.keeps(file.path)
	switch {
	case file.manifest == nil:
		origin.Kind = backup.OriginUnknown
	case inside && file.manifest.Filename != filepath.Base(file.path):
		return origin, fmt.Errorf("%w: it is that of %q", backup.ErrForged, file.manifest.Filename)
	default:
		origin, err = a.runner.Engine.Origin(file.stored, *file.manifest, nil)
	}
	switch origin.Kind {
	case backup.OriginShared:
		a.log.Warn("the passphrase proves that a host which has it made this file, and not which one; if you know that it is of that instance, name it with --from-instance",
			"instance", file.manifest.Instance)
	case backup.OriginPassphrase:
		a.log.Info("the passphrase proves who made this file", "instance", file.manifest.Instance)
	case backup.OriginRestored:
		a.log.Warn("this backup is of a database that was restored from a file of unknown origin", "origin", file.manifest.Unproven.Origin,
			"backup", file.manifest.Unproven.BackupID, "instance", file.manifest.Unproven.Instance)
	}
	if err == nil && inside {
		origin = origin.Within(local.File(file.path).Private())
	}
	return origin, err
}

// keeps reports whether a file is in BACKUP_DIR or in a folder of it.
func (a *agent) keeps(path string) bool {
	folder, err := filepath.EvalSymlinks(a.settings.Dir)
	if err != nil {
		return false
	}
	folder, err = filepath.Abs(folder)
	if err != nil {
		return false
	}
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	path, err = filepath.Abs(path)
	return err == nil && (filepath.Dir(path) == folder || filepath.Dir(filepath.Dir(path)) == folder)
}

// originFlags are what a person says of a file that nothing is known of, or of
// which only the passphrase is.
type originFlags struct {
	unsigned, trust bool
	from            string // the instance
}

func (f originFlags) consent() job.Consent {
	switch {
	case f.trust:
		return job.ConsentTrust
	case f.unsigned:
		return job.ConsentUnsigned
	default:
		return ""
	}
}
