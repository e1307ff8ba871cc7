package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/transfer"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type download struct {
	output, reason string
	decrypt        bool
	passphraseFile string
}

func downloadCommand(a *app) *cobra.Command {
	var d download
	cmd := &cobra.Command{
		Use:   "download ID",
		Short: "Download a backup, and open it on this machine if that is asked for",
		Long: `Download writes the sealed file as it is stored. It goes to a hidden file beside its
target, which a later download goes on with after a cut, and takes its name when size
and SHA-256 hold. An existing file is never overwritten.

With --decrypt the dump itself is written, decrypted and decompressed on this machine.
The passphrase is read from --passphrase-file, $BACKUP_ENCRYPT_PASSPHRASE_FILE or
$BACKUP_ENCRYPT_PASSPHRASE, or asked for on a terminal; it never leaves this machine.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeBackup,
		RunE: a.run(func(ctx context.Context, args []string) error {
			return runDownload(ctx, a, args[0], d)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&d.output, "output", "", "the file to write, or a folder for it (default: the backup's own name, here)")
	flags.BoolVar(&d.decrypt, "decrypt", false, "write the dump, decrypted and decompressed")
	flags.StringVar(&d.passphraseFile, "passphrase-file", "", "file with the passphrase on its first line")
	flags.StringVar(&d.reason, "reason", "", "why, for the audit log")
	a.approvable(cmd)
	return cmd
}

func runDownload(ctx context.Context, a *app, id string, d download) error {
	if d.output == "-" {
		return exit.Fail(exit.Usage, "a download is not written to standard output: it would be used before it is verified").
			WithHint("name a file with --output")
	}
	if d.passphraseFile != "" && !d.decrypt {
		return exit.Fail(exit.Usage, "--passphrase-file is for --decrypt")
	}
	conn, err := a.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	response, err := getBackup(ctx, conn, id)
	if err != nil {
		return err
	}
	backup := response.GetBackup()
	target, err := d.target(backup)
	if err != nil {
		return err
	}
	if d.decrypt {
		return downloadOpened(ctx, a, conn, backup, target, d)
	}
	return downloadSealed(ctx, a, conn, backup, target, d)
}

func downloadSealed(ctx context.Context, a *app, conn *grpc.ClientConn, backup *pgharborv1.Backup, target string, d download) error {
	sealed, err := transfer.OpenPart(target, backup.GetId())
	if err != nil {
		return err
	}
	defer sealed.Close()
	if err := sealed.CheckRoom(backup.GetSizeBytes() - sealed.Size()); err != nil {
		return err
	}
	if err := d.transfer(a, conn, backup).Fetch(ctx, sealed); err != nil {
		return err
	}
	if err := sealed.Commit(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out.Stdout, "Saved %s (%s); size and SHA-256 hold.\n", output.Name(target), output.Bytes(backup.GetSizeBytes()))
	return err
}

func downloadOpened(ctx context.Context, a *app, conn *grpc.ClientConn, backup *pgharborv1.Backup, target string, d download) error {
	if backup.GetPlainSha256() == "" {
		return exit.Fail(exit.Failed, "nothing is known of the dump inside of backup %s, so its decryption could not be verified", backup.GetId()).
			WithHint("download it without --decrypt and open it with openssl enc -d -aes-256-cbc -pbkdf2")
	}
	passphrase, err := passphrase(ctx, a, backup, d.passphraseFile)
	if err != nil {
		return err
	}
	sealed, err := transfer.OpenPart(filepath.Join(filepath.Dir(target), backup.GetFilename()), backup.GetId())
	if err != nil {
		return err
	}
	defer sealed.Close()
	if err := sealed.CheckRoom(backup.GetSizeBytes()-sealed.Size(), backup.GetPlainSizeBytes()); err != nil {
		return err
	}
	under := d.transfer(a, conn, backup)
	if err := under.Fetch(ctx, sealed); err != nil {
		return err
	}
	plain, err := transfer.OpenPart(target, backup.GetId()+".plain")
	if err != nil {
		return err
	}
	defer plain.Close()
	if err := under.Open(ctx, sealed, plain, passphrase); err != nil {
		return errors.Join(err, plain.Remove())
	}
	if err := plain.Commit(); err != nil {
		return err
	}
	if err := sealed.Remove(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out.Stdout, "Saved %s (%s), decrypted; size and SHA-256 hold.\n", output.Name(target), output.Bytes(backup.GetPlainSizeBytes()))
	return err
}

func (d download) transfer(a *app, conn *grpc.ClientConn, backup *pgharborv1.Backup) *transfer.Download {
	return &transfer.Download{Session: a.session, Conn: conn, Backup: backup, Reason: d.reason}
}

// target returns the path to write: what --output gives, or else the backup's own name.
func (d download) target(backup *pgharborv1.Backup) (string, error) {
	name := backup.GetFilename()
	if !fileName(name) || !fileName(backup.GetId()) {
		return "", exit.Fail(exit.Failed, "the control plane names the file %q, which is no file name", name)
	}
	if d.decrypt {
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".enc"), ".zst")
	}
	target := d.output
	if target == "" {
		target = name
	} else if info, err := os.Stat(target); err == nil && info.IsDir() {
		target = filepath.Join(target, name)
	}
	if _, err := os.Lstat(target); err == nil {
		return "", exit.Fail(exit.Failed, "%s exists, and is not overwritten", target).WithHint("name another file with --output")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return target, nil
}

// fileName returns whether a name from the control plane is safe to use: a visible file, directly in the folder.
func fileName(name string) bool {
	return name != "" && name[0] != '.' && name[0] != '-' && filepath.Base(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == '\\' })
}
