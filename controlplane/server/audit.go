package server

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// verifyPage is how many entries are read at once.
const verifyPage = 1000

// VerifyAudit walks the audit log in the catalog of a data folder, whether it is served or not, and
// holds it to what its agents have seen and to the checkpoints that are given. It returns the
// checkpoint of an audit log that holds; an error that wraps fleet.ErrIntegrity names the first
// entry of one that does not. What was sealed off is known by its seal alone, where the rest
// begins; SealedCheckpoint returns that. A checkpoint that is given and lies before it can't be
// checked, which is an error of another kind.
func VerifyAudit(ctx context.Context, dataDir string, seen ...chain.Checkpoint) (_ chain.Checkpoint, err error) {
	store, err := catalog.OpenReadOnly(ctx, filepath.Join(dataDir, catalogFile))
	if err != nil {
		return chain.Checkpoint{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	held, err := store.AuditLog.HeldCheckpoints(ctx)
	if err != nil {
		return chain.Checkpoint{}, err
	}
	var witnesses []chain.Witness
	for _, h := range held {
		witnesses = append(witnesses, chain.Witness{Checkpoint: h.Checkpoint, Name: "the agent of " + h.Instance})
	}
	for _, checkpoint := range seen {
		witnesses = append(witnesses, chain.Witness{Checkpoint: checkpoint, Name: "the witness of --head"})
	}
	sealed, err := store.AuditLog.Sealed(ctx)
	if err != nil {
		return chain.Checkpoint{}, err
	}
	if _, err := checkSeal(dataDir, sealed); err != nil {
		return chain.Checkpoint{}, err
	}
	verifier, err := chain.NewVerifierSealed(sealed, witnesses...)
	if err != nil {
		return chain.Checkpoint{}, asIntegrity(err)
	}
	if err := walk(ctx, store, verifier); err != nil {
		return chain.Checkpoint{}, err
	}
	for _, checkpoint := range seen {
		if checkpoint.Sequence < sealed.Sequence {
			return chain.Checkpoint{}, fleet.NewProblem(fleet.ErrConflict,
				"--head %s can't be checked: entry %d is in what was sealed off, up to entry %d, and was not looked at; what comes after that holds",
				checkpoint, checkpoint.Sequence, sealed.Sequence).
				WithHint("the file that was sealed off shows it: pgharbor audit verify --file FILE --head %s; it ends with the checkpoint %s", checkpoint, sealed.Checkpoint)
		}
	}
	return verifier.Checkpoint(), nil
}

// SealedCheckpoint returns up to where the audit log of a data folder was sealed off, and whether
// the seal's signature was checked; the zero Checkpoint is nowhere.
func SealedCheckpoint(ctx context.Context, dataDir string) (_ chain.Checkpoint, checked bool, err error) {
	store, err := catalog.OpenReadOnly(ctx, filepath.Join(dataDir, catalogFile))
	if err != nil {
		return chain.Checkpoint{}, false, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	sealed, err := store.AuditLog.Sealed(ctx)
	if err == nil {
		checked, err = checkSeal(dataDir, sealed)
	}
	return sealed.Checkpoint, checked, err
}

// checkSeal holds the seal to the keys of the folder, if it has them: a copy may be of the catalog
// alone.
func checkSeal(dataDir string, sealed chain.Seal) (checked bool, err error) {
	dir := filepath.Join(dataDir, pkiFolder)
	if _, err := os.Stat(dir); sealed.Checkpoint == (chain.Checkpoint{}) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	ca, err := pki.LoadAuthorities(dir)
	if err != nil {
		return false, err
	}
	own, _, err := ca.AuditKey(func() time.Time { return sealed.At })
	if err != nil {
		return false, err
	}
	return true, audit.CheckSeal(sealed, auditSignature(own.Public(), ca))
}

func walk(ctx context.Context, store *catalog.Catalog, verifier *chain.Verifier) error {
	after := int64(math.MinInt64)
	if sealed := verifier.Checkpoint().Sequence; sealed > 0 {
		after = sealed
	}
	for ; ; after = verifier.Checkpoint().Sequence {
		entries, err := store.AuditLog.After(ctx, after, verifyPage)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return asIntegrity(verifier.End())
		}
		for _, entry := range entries {
			if err := verifier.Add(entry); err != nil {
				return asIntegrity(err)
			}
		}
	}
}

func asIntegrity(err error) error {
	if err == nil {
		return nil
	}
	return fleet.NewProblem(fleet.ErrIntegrity, "%v", err).
		WithHint("keep the catalog as it is, and compare it with a copy and with what agents hold: pgharbor-agent trail")
}
