package command

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/auditlog"
	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// verifyAuditLog verifies the control plane's audit log, from its first entry or from the last
// seal, and remembers its checkpoint.
func verifyAuditLog(ctx context.Context, a *app, v auditVerification, after chain.Checkpoint, given []chain.Witness) error {
	dir, err := a.logins.CurrentIdentity()
	if err != nil {
		return err
	}
	identity, err := client.Load(dir)
	if err != nil {
		return err
	}
	memory, err := auditlog.OpenMemory(dir)
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
	// The checkpoints come first: the audit log that comes after has to reach all of them.
	sealed, seen, err := seenCheckpoints(ctx, a, conn, identity)
	if err != nil {
		return err
	}
	remembered := memory.Witnesses()
	all := slices.Concat(remembered, given, seen)
	if len(v.sealed) == 0 {
		after = sealed.Checkpoint
	} else if err := auditlog.VerifySealed(sealedFiles(a, v.sealed), after, sealed.Checkpoint, all); err != nil {
		return err
	}
	verifier, err := chain.NewVerifierSealed(sealed, all...)
	if err != nil {
		return auditlog.Broken(err)
	}
	if err := auditlog.Verify(verifier, auditlog.ControlPlane(ctx, conn)); err != nil {
		return err
	}
	memory.Verified(verifier.Checkpoint(), after, a.out.Now())
	warnOfUnchecked(a.out, memory, sealed.Checkpoint)
	if err := auditlog.AllChecked(given, after); err != nil {
		return err
	}
	if err := memory.Keep(); err != nil {
		return err
	}
	return auditlog.Show(a.out, verifier, after, slices.Concat(given, seen, remembered[max(len(remembered)-1, 0):]))
}

func sealedFiles(a *app, paths []string) []auditlog.Source {
	var files []auditlog.Source
	for _, path := range paths {
		files = append(files, auditlog.File(path, a.env.Stdin))
	}
	return files
}

// seenCheckpoints returns what the control plane has signed: the seal of the part that was sealed
// off, its current checkpoint, and the checkpoints that its agents hold.
func seenCheckpoints(ctx context.Context, a *app, conn *grpc.ClientConn, identity *client.Identity) (sealed chain.Seal, witnesses []chain.Witness, err error) {
	checkpoints, err := pgharborv1.NewAuditServiceClient(conn).ListTrailHeads(ctx, &pgharborv1.ListTrailHeadsRequest{})
	if err != nil {
		return sealed, nil, err
	}
	if checkpoints.GetSeal() != nil {
		sealed = auditlog.SealFrom(checkpoints.GetSeal())
		if err := auditlog.SignedBy(identity, sealed); err != nil {
			return sealed, nil, exit.Fail(exit.Integrity, "%s, of what was sealed off: %w", a.session.ControlPlane(), err)
		}
	}
	if checkpoints.GetHead() != nil {
		own := auditlog.CheckpointFrom(checkpoints.GetHead())
		if err := auditlog.SignedBy(identity, own); err != nil {
			return sealed, nil, exit.Fail(exit.Integrity, "%s: %w", a.session.ControlPlane(), err)
		}
		witnesses = append(witnesses, chain.Witness{Checkpoint: own.Checkpoint, Name: "the control plane's own signature"})
	}
	for _, held := range checkpoints.GetWitnessed() {
		checkpoint := auditlog.CheckpointFrom(held.GetHead())
		// A CA that was replaced since can't attest what it signed.
		if err := auditlog.SignedBy(identity, checkpoint); err != nil {
			a.out.Say("pgharbor: warning: what the agent of %s has seen is left out: %v", output.Name(held.GetInstance()), err)
			continue
		}
		witnesses = append(witnesses, chain.Witness{Checkpoint: checkpoint.Checkpoint, Name: "the agent of " + held.GetInstance()})
	}
	return sealed, witnesses, nil
}

// warnOfUnchecked warns at every run that checkpoints from before the seal are not checked, until
// somebody gives the sealed files or accepts the audit log.
func warnOfUnchecked(out *output.Printer, memory *auditlog.Memory, sealed chain.Checkpoint) {
	var checkpoints []string
	for _, checkpoint := range memory.Unchecked() {
		checkpoints = append(checkpoints, checkpoint.String())
	}
	if len(checkpoints) > 0 {
		out.Say("pgharbor: warning: what you verified before was sealed off since, with all up to entry %d, and is not checked: %s; hold the files of that to it: "+
			"pgharbor audit verify --sealed FILE, or forget it: pgharbor audit verify --accept", sealed.Sequence, strings.Join(checkpoints, ", "))
	}
}
