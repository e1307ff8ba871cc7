package server

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/api"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/disk"
)

// SealOptions says which part of the audit log goes to which file.
type SealOptions struct {
	DataDir string
	Year    int // the last one that goes; it is over
	File    string
	Now     func() time.Time
}

// Sealed is what was sealed off.
type Sealed struct {
	From       int64 // the first entry
	Checkpoint chain.Checkpoint
	SHA256     string // of the file
}

// SealAudit moves the entries of a year, and of those before, to a file: written, read again and
// verified, before the catalog lets go of them. The audit log continues from their signed
// checkpoint. What was still under way then, and all after it, stays. It works while the control
// plane serves and while it does not; one that was interrupted is finished by the next.
func SealAudit(ctx context.Context, o SealOptions) (s Sealed, err error) {
	end := time.Date(o.Year+1, 1, 1, 0, 0, 0, 0, time.UTC)
	if o.Year < 2000 || o.Now().Before(end) {
		return s, fleet.NewProblem(fleet.ErrInvalid, "--year %d is not a year that is over, UTC", o.Year)
	}
	store, done, err := openOnHost(ctx, o.DataDir)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, done()) }()
	sign, before, err := sealer(ctx, store, o)
	if err != nil {
		return s, err
	}
	if err := store.AuditLog.DropSealed(ctx); err != nil {
		return s, err
	}
	if s.Checkpoint, err = store.AuditLog.Sealable(ctx, end); err != nil {
		return s, err
	}
	if s.From = before.Sequence + 1; s.Checkpoint.Sequence < s.From {
		return s, fleet.NewProblem(fleet.ErrConflict, "no entry of %d or before can be sealed off: there is none, or it is of what is still under way", o.Year)
	}
	if s.SHA256, err = writePart(ctx, store, before.Checkpoint, s.Checkpoint, o.File); err != nil {
		return s, err
	}
	seal, err := sign(s)
	if err != nil {
		return s, err
	}
	auditLog := &audit.Log{Store: store.AuditLog, Now: o.Now}
	return s, auditLog.Do(ctx, audit.Action{
		Actor: chain.ActorHost, Action: chain.ActionSeal, Target: s.Checkpoint.String(), Detail: seal.Note(s.From),
	}, func() error {
		if err := store.AuditLog.Seal(ctx, seal); err != nil {
			return err
		}
		return store.AuditLog.DropSealed(ctx)
	})
}

// sealer returns what signs a seal with the keys of the folder, and the seal before it, once that
// holds: the next one attests all that is missing.
func sealer(ctx context.Context, store *catalog.Catalog, o SealOptions) (sign func(Sealed) (chain.Seal, error), before chain.Seal, err error) {
	ca, err := pki.LoadAuthorities(filepath.Join(o.DataDir, pkiFolder))
	if err != nil {
		return nil, before, err
	}
	key, certify, err := ca.AuditKey(o.Now)
	if err != nil {
		return nil, before, err
	}
	certificate, err := certify()
	if err != nil {
		return nil, before, err
	}
	if before, err = store.AuditLog.Sealed(ctx); err != nil {
		return nil, before, err
	}
	sign = func(s Sealed) (chain.Seal, error) {
		return chain.SignSeal(s.Checkpoint, s.SHA256, o.Now(), key, certificate)
	}
	return sign, before, audit.CheckSeal(before, auditSignature(key.Public(), ca))
}

// writePart writes the entries after one checkpoint up to another to a new file, reads it again
// from its beginning, and returns its SHA-256. A file that is not whole is removed.
func writePart(ctx context.Context, store *catalog.Catalog, after, upTo chain.Checkpoint, path string) (_ string, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	out := bufio.NewWriter(file)
	for at := after.Sequence; at < upTo.Sequence; {
		entries, err := store.AuditLog.After(ctx, at, verifyPage)
		if err != nil {
			return "", err
		}
		if len(entries) == 0 {
			return "", fleet.NewProblem(fleet.ErrIntegrity, "the audit log ends with entry %d, before entry %d", at, upTo.Sequence)
		}
		for _, e := range entries {
			if at = e.Sequence; at > upTo.Sequence {
				break
			}
			if err := api.WriteEntry(out, e); err != nil {
				return "", err
			}
		}
	}
	if err := errors.Join(out.Flush(), file.Sync(), disk.SyncFolder(filepath.Dir(path))); err != nil {
		return "", err
	}
	return verifyPart(file, after, upTo)
}

// verifyPart reads what was written, and holds it to the checkpoints on both of its ends.
func verifyPart(file io.ReadSeeker, after, upTo chain.Checkpoint) (string, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	verifier, err := chain.NewVerifierAfter(after)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	lines := bufio.NewReader(io.TeeReader(file, sum))
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err != nil {
			return "", fmt.Errorf("the file that was written is not whole: %w", err)
		}
		entry, err := api.ReadEntry(line)
		if err != nil {
			return "", err
		}
		if err := verifier.Add(entry); err != nil {
			return "", asIntegrity(err)
		}
	}
	if verifier.Checkpoint() != upTo {
		return "", fleet.NewProblem(fleet.ErrIntegrity, "what was written ends with %s and not with %s", verifier.Checkpoint(), upTo)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
