package command

import (
	"context"
	"slices"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// verifyTrail verifies the control plane's trail, from its beginning or from where it
// was sealed off, and remembers its head.
func (a *app) verifyTrail(ctx context.Context, v auditVerification, after chain.Head, noted []chain.Witness) error {
	dir, err := a.currentFolder()
	if err != nil {
		return err
	}
	identity, err := client.Load(dir)
	if err != nil {
		return err
	}
	memory, err := openTrailMemory(dir)
	if err != nil {
		return err
	}
	if v.accept {
		memory.heads = nil
	}
	conn, err := a.dialAs(ctx, identity)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The heads come first: the trail that comes after has to reach all of them.
	sealed, seen, err := a.seenHeads(ctx, conn, identity)
	if err != nil {
		return err
	}
	remembered := memory.witnesses()
	all := slices.Concat(remembered, noted, seen)
	if len(v.sealed) == 0 {
		after = sealed.Head
	} else if err := a.verifySealed(v.sealed, after, sealed.Head, all); err != nil {
		return err
	}
	verifier, err := chain.NewVerifierSealed(sealed, all...)
	if err != nil {
		return broken(err)
	}
	if err := verifyEach(verifier, func(add func(*pgharborv1.AuditEntry) error) error { return eachEntry(ctx, conn, add) }); err != nil {
		return err
	}
	memory.verified(verifier.Head(), after, a.Now())
	a.warnOfUnchecked(memory, sealed.Head)
	if err := allChecked(noted, after); err != nil {
		return err
	}
	if err := memory.keep(); err != nil {
		return err
	}
	return a.showVerified(verifier, after, slices.Concat(noted, seen, remembered[max(len(remembered)-1, 0):]))
}

// seenHeads returns what the control plane has signed: up to where it has sealed the
// trail off, its head of this moment, and those that its agents hold.
func (a *app) seenHeads(ctx context.Context, conn *grpc.ClientConn, identity *client.Identity) (sealed chain.Seal, witnesses []chain.Witness, err error) {
	heads, err := pgharborv1.NewAuditServiceClient(conn).ListTrailHeads(ctx, &pgharborv1.ListTrailHeadsRequest{})
	if err != nil {
		return sealed, nil, err
	}
	if heads.GetSeal() != nil {
		sealed = sealFrom(heads.GetSeal())
		if err := signedBy(identity, sealed); err != nil {
			return sealed, nil, exit.Fail(exit.Integrity, "%s, of what was sealed off: %w", a.controlPlane(), err)
		}
	}
	if heads.GetHead() != nil {
		own := headFrom(heads.GetHead())
		if err := signedBy(identity, own); err != nil {
			return sealed, nil, exit.Fail(exit.Integrity, "%s: %w", a.controlPlane(), err)
		}
		witnesses = append(witnesses, chain.Witness{Head: own.Head, Name: "the control plane's own signature"})
	}
	for _, held := range heads.GetWitnessed() {
		head := headFrom(held.GetHead())
		// A CA that was replaced since can't vouch for what it signed.
		if err := signedBy(identity, head); err != nil {
			a.say("pgharbor: warning: what the agent of %s has seen is left out: %v", output.Name(held.GetInstance()), err)
			continue
		}
		witnesses = append(witnesses, chain.Witness{Head: head.Head, Name: "the agent of " + held.GetInstance()})
	}
	return sealed, witnesses, nil
}

func signedBy(identity *client.Identity, signed chain.Signed) error {
	key, err := identity.TrailKey(signed.Certified())
	if err != nil {
		return err
	}
	return signed.SignedBy(key)
}
