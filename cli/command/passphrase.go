package command

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/secretfile"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// passphraseIn reads a passphrase file, and warns if others can read it too.
func passphraseIn(out *output.Printer, file string) (string, error) {
	if err := secretfile.Check(file); errors.Is(err, secretfile.ErrChangeable) || errors.Is(err, secretfile.ErrReadable) {
		out.Say("warning: the passphrase file %s: %s; %s", output.Name(file), output.Line(err.Error()), secretfile.Remedy)
	}
	return seal.ReadPassphraseFile(file)
}

// passphrase finds the passphrase of a backup before anything is downloaded.
func passphrase(ctx context.Context, a *app, backup *pgharborv1.Backup, file string) (string, error) {
	if backup.GetEncryption() == seal.SchemeNone {
		return "", nil
	}
	if !seal.Known(backup.GetEncryption()) {
		return "", exit.Fail(exit.Failed, "this pgharbor does not know the encryption %q", backup.GetEncryption())
	}
	if file == "" {
		file = a.env.Getenv("BACKUP_ENCRYPT_PASSPHRASE_FILE")
	}
	if file != "" {
		return passphraseIn(a.out, file)
	}
	if passphrase := a.env.Getenv("BACKUP_ENCRYPT_PASSPHRASE"); passphrase != "" {
		return passphrase, nil
	}
	if !a.prompt.Interactive() {
		return "", exit.Fail(exit.Failed, "the backup is encrypted, and there is no passphrase").
			WithHint("give it with --passphrase-file, or run it on a terminal")
	}
	return a.prompt.AskSecret(ctx, "Passphrase: ")
}
