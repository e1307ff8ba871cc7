package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const (
	openBufferBytes = 1 << 20
	// No encoder of ours uses a larger window; a bomb may want one.
	maxZstdWindow = 64 << 20
)

// Open decrypts and decompresses a stored file into plain, and verifies the dump. The hash of the stored file has been
// checked before, so that a wrong dump of an encrypted file means a wrong passphrase.
func (d *Download) Open(ctx context.Context, sealed, plain *Part, passphrase string) error {
	backup, progress := d.Backup, d.Session.Out.Progress()
	defer progress.Clear()
	if err := plain.restart(); err != nil {
		return err
	}
	err := copyOpened(ctx, backup, sealed, plain, passphrase, progress)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case plain.failed != nil:
		return fmt.Errorf("write the dump: %w", plain.failed)
	case err == nil && plain.holds(backup.GetPlainSizeBytes(), backup.GetPlainSha256()):
		return nil
	case backup.GetEncryption() != seal.SchemeNone:
		return exit.Fail(exit.Failed, "the passphrase does not open backup %s", backup.GetId()).
			WithHint("it needs the one that the backup was sealed with; the download is kept for another try")
	default:
		return exit.Fail(exit.Integrity, "backup %s does not hold: the dump inside has not the size and SHA-256 of the catalog", backup.GetId())
	}
}

func copyOpened(ctx context.Context, backup *pgharborv1.Backup, sealed, plain *Part, passphrase string, progress *output.Progress) error {
	if _, err := sealed.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var dump io.Reader = sealed.file
	keys := seal.Ring{Passphrases: seal.Passphrases{Current: passphrase}}
	if openers := keys.Openers(backup.GetEncryption()); len(openers) > 0 {
		opened, err := openers[0].Open(dump)
		if err != nil {
			return err
		}
		dump = opened
	}
	if backup.GetCompression() == "zstd" {
		decoder, err := zstd.NewReader(dump, zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return err
		}
		defer decoder.Close()
		dump = decoder
	}
	// One byte more than it should be, so that too much is seen and not written on.
	dump = io.LimitReader(dump, backup.GetPlainSizeBytes()+1)
	buffer := make([]byte, openBufferBytes)
	for ctx.Err() == nil {
		n, err := io.ReadFull(dump, buffer)
		if _, err := plain.Write(buffer[:n]); err != nil {
			return err
		}
		progress.Set("decrypt", plain.size, backup.GetPlainSizeBytes())
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
