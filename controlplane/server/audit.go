package server

import (
	"context"
	"errors"
	"math"
	"path/filepath"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// verifyPage is how many entries are read at once.
const verifyPage = 1000

// VerifyAudit walks the trail in the catalog of a data folder, whether it is served
// or not, and holds it to what its agents have seen and to the heads that are
// given. It returns the head of a trail that holds; an error that wraps
// fleet.ErrIntegrity names the first entry of one that does not.
func VerifyAudit(ctx context.Context, dataDir string, seen ...chain.Head) (_ chain.Head, err error) {
	store, err := catalog.OpenReadOnly(ctx, filepath.Join(dataDir, catalogFile))
	if err != nil {
		return chain.Head{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	held, err := store.TrailHeads(ctx)
	if err != nil {
		return chain.Head{}, err
	}
	var witnesses []chain.Witness
	for _, h := range held {
		witnesses = append(witnesses, chain.Witness{Head: h.Head, Name: "the agent of " + h.Instance})
	}
	for _, head := range seen {
		witnesses = append(witnesses, chain.Witness{Head: head, Name: "whoever noted --head"})
	}
	verifier := chain.NewVerifier(witnesses...)
	if err := walk(ctx, store, verifier); err != nil {
		return chain.Head{}, err
	}
	return verifier.Head(), nil
}

func walk(ctx context.Context, store *catalog.Catalog, verifier *chain.Verifier) error {
	for after := int64(math.MinInt64); ; after = verifier.Head().Sequence {
		entries, err := store.AuditAfter(ctx, after, verifyPage)
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
