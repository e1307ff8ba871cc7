package command

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/trail"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// verifyTrail verifies the control plane's trail, from its first entry or from the last seal, and remembers its head.
func verifyTrail(ctx context.Context, a *app, v auditVerification, after chain.Head, noted []chain.Witness) error {
	dir, err := a.logins.CurrentIdentity()
	if err != nil {
		return err
	}
	identity, err := client.Load(dir)
	if err != nil {
		return err
	}
	memory, err := trail.OpenMemory(dir)
	if err != nil {
		return err
	}
	if v.accept {
		memory.Forget()
	}
	conn, err := a.session.Dial(ctx, identity)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The heads come first: the trail that comes after has to reach all of them.
	sealed, seen, err := seenHeads(ctx, a, conn, identity)
	if err != nil {
		return err
	}
	remembered := memory.Witnesses()
	all := slices.Concat(remembered, noted, seen)
	if len(v.sealed) == 0 {
		after = sealed.Head
	} else if err := trail.VerifySealed(sealedFiles(a, v.sealed), after, sealed.Head, all); err != nil {
		return err
	}
	verifier, err := chain.NewVerifierSealed(sealed, all...)
	if err != nil {
		return trail.Broken(err)
	}
	if err := trail.Verify(verifier, trail.ControlPlane(ctx, conn)); err != nil {
		return err
	}
	memory.Verified(verifier.Head(), after, a.out.Now())
	warnOfUnchecked(a.out, memory, sealed.Head)
	if err := trail.AllChecked(noted, after); err != nil {
		return err
	}
	if err := memory.Keep(); err != nil {
		return err
	}
	return trail.Show(a.out, verifier, after, slices.Concat(noted, seen, remembered[max(len(remembered)-1, 0):]))
}

func sealedFiles(a *app, paths []string) []trail.Source {
	var files []trail.Source
	for _, path := range paths {
		files = append(files, trail.File(path, a.env.Stdin))
	}
	return files
}

// seenHeads returns what the control plane has signed: the seal of the part that was sealed off, its current head, and
// the heads that its agents hold.
func seenHeads(ctx context.Context, a *app, conn *grpc.ClientConn, identity *client.Identity) (sealed chain.Seal, witnesses []chain.Witness, err error) {
	heads, err := pgharborv1.NewAuditServiceClient(conn).ListTrailHeads(ctx, &pgharborv1.ListTrailHeadsRequest{})
	if err != nil {
		return sealed, nil, err
	}
	if heads.GetSeal() != nil {
		sealed = trail.SealFrom(heads.GetSeal())
		if err := trail.SignedBy(identity, sealed); err != nil {
			return sealed, nil, exit.Fail(exit.Integrity, "%s, of what was sealed off: %w", a.session.ControlPlane(), err)
		}
	}
	if heads.GetHead() != nil {
		own := trail.HeadFrom(heads.GetHead())
		if err := trail.SignedBy(identity, own); err != nil {
			return sealed, nil, exit.Fail(exit.Integrity, "%s: %w", a.session.ControlPlane(), err)
		}
		witnesses = append(witnesses, chain.Witness{Head: own.Head, Name: "the control plane's own signature"})
	}
	for _, held := range heads.GetWitnessed() {
		head := trail.HeadFrom(held.GetHead())
		// A CA that was replaced since can't vouch for what it signed.
		if err := trail.SignedBy(identity, head); err != nil {
			a.out.Say("pgharbor: warning: what the agent of %s has seen is left out: %v", output.Name(held.GetInstance()), err)
			continue
		}
		witnesses = append(witnesses, chain.Witness{Head: head.Head, Name: "the agent of " + held.GetInstance()})
	}
	return sealed, witnesses, nil
}

// warnOfUnchecked warns at every run that heads from before the seal are not checked, until somebody gives the sealed
// files or accepts the trail.
func warnOfUnchecked(out *output.Printer, memory *trail.Memory, sealed chain.Head) {
	var heads []string
	for _, head := range memory.Unchecked() {
		heads = append(heads, head.String())
	}
	if len(heads) > 0 {
		out.Say("pgharbor: warning: what you verified before was sealed off since, with all up to entry %d, and is not checked: %s; hold the files of that to it: "+
			"pgharbor audit verify --sealed FILE, or forget it: pgharbor audit verify --accept", sealed.Sequence, strings.Join(heads, ", "))
	}
}
