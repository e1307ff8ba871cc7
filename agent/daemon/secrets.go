package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/internal/secretfile"
	"github.com/pgharbor/pgharbor/internal/shell"
)

// secretFiles are the files with secrets that the settings name.
func secretFiles(v variables, connection postgres.Settings) []job.SecretFile {
	var files []job.SecretFile
	add := func(setting, path string) {
		if path != "" {
			files = append(files, job.SecretFile{Setting: setting, Path: path})
		}
	}
	add("BACKUP_ENCRYPT_PASSPHRASE_FILE", v.PassphraseFile)
	add("BACKUP_OLD_PASSPHRASES_FILE", v.OldPassphrasesFile)
	named := connection.SecretFiles()
	for _, setting := range slices.Sorted(maps.Keys(named)) {
		add(setting, named[setting])
	}
	return files
}

// unchangeable refuses a file of a secret that others may change: they would choose with what
// backups are sealed. One that they may only read is used, and health and check say so.
func unchangeable(path string) error {
	if err := secretfile.CheckChange(path); errors.Is(err, secretfile.ErrChangeable) {
		return fmt.Errorf("%s: %w; %s", path, err, secretfile.Remedy)
	}
	return nil
}

// checkSecrets looks at every file with a secret that is there.
func (a *agent) checkSecrets(context.Context, *command) (string, error) {
	files, found := a.secretFiles(), 0
	for _, file := range files {
		switch err := secretfile.Check(file.Path); {
		case err == nil:
			found++
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission): // who needs it says so
		default:
			return "", remedy{fmt.Errorf("%s, %s: %w", file.Setting, file.Path, err), shell.Command("chmod 600 %s, and let it belong to the user that reads it, or to root", file.Path)}
		}
	}
	return fmt.Sprintf("%d files with secrets, which nobody else can read", found), nil
}

// secretFiles adds the agent's own to those that the settings name.
func (a *agent) secretFiles() []job.SecretFile {
	files := slices.Clone(a.settings.SecretFiles)
	if a.signer != nil {
		files = append(files, job.SecretFile{Setting: "the signing key in the state folder", Path: a.signer.KeyPath()})
	}
	return files
}
