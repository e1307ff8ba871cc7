package command

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/client"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func (a *app) auditVerifyCommand() *cobra.Command {
	var v auditVerification
	cmd := a.printing(&cobra.Command{
		Use:   "verify",
		Short: "Name the first entry of the trail that was edited, dropped, reordered or cut off; exit 6 then",
		Long: `Fetches the whole trail and verifies it here: every hash, the heads that agents have
seen, and the one that you verified last, which is kept with your login. A control
plane can make a new chain, but none that ends in a head which others hold.

After a catalog had to be restored from an older copy, --accept makes the trail of
this moment the one that later ones are held to.`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.verifyAudit(ctx, v) }),
	})
	cmd.Flags().StringVar(&v.file, "file", "", "verify an export instead of the control plane's trail; - is standard input")
	cmd.Flags().StringArrayVar(&v.heads, "head", nil,
		"a head that somebody has noted, SEQUENCE:HASH, as pgharbor-agent trail prints it; may be given more than once")
	cmd.Flags().BoolVar(&v.accept, "accept", false, "forget what you verified before")
	cmd.Flags().StringVar(&v.after, "after", "", "with --file: the head of the part before it, SEQUENCE:HASH, where the file is a part that was sealed off later")
	cmd.MarkFlagsMutuallyExclusive("file", "accept")
	cmd.MarkFlagsMutuallyExclusive("after", "accept")
	return cmd
}

// auditVerification is a trail that is to be verified, and what it is held to.
type auditVerification struct {
	file   string
	heads  []string
	after  string
	accept bool
}

func (a *app) verifyAudit(ctx context.Context, v auditVerification) error {
	var witnesses []chain.Witness
	for _, text := range v.heads {
		head, err := chain.ParseHead(text)
		if err != nil {
			return fail(exitUsage, "--head: %w", err)
		}
		witnesses = append(witnesses, chain.Witness{Head: head, Name: "whoever noted --head"})
	}
	var after chain.Head
	if v.after != "" {
		var err error
		if after, err = chain.ParseHead(v.after); err != nil || v.file == "" {
			return fail(exitUsage, "--after goes with --file, and is SEQUENCE:HASH")
		}
	}
	if v.file != "" {
		return a.verifyFile(v.file, after, witnesses)
	}
	return a.verifyTrail(ctx, v.accept, witnesses)
}

func (a *app) verifyFile(path string, after chain.Head, witnesses []chain.Witness) error {
	in := a.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	verifier, err := chain.NewVerifierAfter(after, witnesses...)
	if err != nil {
		return broken(err)
	}
	if err := verifyEach(verifier, func(add func(*pgharborv1.AuditEntry) error) error { return eachLine(in, add) }); err != nil {
		return err
	}
	return a.showVerified(verifier, after, witnesses)
}

// verifyTrail asks for the heads first: the trail that comes after has to reach
// all of them.
func (a *app) verifyTrail(ctx context.Context, accept bool, witnesses []chain.Witness) error {
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
	conn, err := a.dialAs(ctx, identity)
	if err != nil {
		return err
	}
	defer conn.Close()
	sealed, seen, err := a.seenHeads(ctx, conn, identity)
	if err != nil {
		return err
	}
	witnesses = append(witnesses, seen...)
	var before []chain.Witness
	if !accept {
		before = memory.witnesses()
	}
	verifier, err := chain.NewVerifierSealed(sealed, append(before, witnesses...)...)
	if err != nil {
		return broken(err)
	}
	err = verifyEach(verifier, func(add func(*pgharborv1.AuditEntry) error) error { return eachEntry(ctx, conn, add) })
	if err != nil {
		return err
	}
	// Only a head at the seal or after it binds what was sealed off.
	if n := len(before); n > 0 && before[n-1].Head.Sequence < sealed.Sequence {
		a.say("pgharbor: warning: what you verified before was sealed off since, with all up to entry %d; hold the files of that to it: "+
			"pgharbor audit verify --file FILE --head %s", sealed.Sequence, before[n-1].Head)
	}
	if err := memory.keep(verifier.Head(), a.Now(), accept); err != nil {
		return err
	}
	return a.showVerified(verifier, sealed.Head, append(witnesses, before[max(len(before)-1, 0):]...))
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
			return sealed, nil, fail(exitIntegrity, "%s, of what was sealed off: %w", a.controlPlane(), err)
		}
	}
	if heads.GetHead() != nil {
		own := headFrom(heads.GetHead())
		if err := signedBy(identity, own); err != nil {
			return sealed, nil, fail(exitIntegrity, "%s: %w", a.controlPlane(), err)
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

// verifyEach adds every entry to the verifier and ends it.
func verifyEach(verifier *chain.Verifier, each func(add func(*pgharborv1.AuditEntry) error) error) error {
	err := each(func(e *pgharborv1.AuditEntry) error { return verifier.Add(entryFrom(e)) })
	if err == nil {
		err = verifier.End()
	}
	return broken(err)
}

// broken names what is wrong with a trail that does not hold.
func broken(err error) error {
	if where := (*chain.Break)(nil); errors.As(err, &where) {
		return fail(exitIntegrity, "%w", where).
			withHint("keep the catalog as it is, and compare with what agents hold: pgharbor-agent trail; docs/audit.md says more")
	}
	return err
}

func (a *app) showVerified(verifier *chain.Verifier, after chain.Head, witnesses []chain.Witness) error {
	head := verifier.Head()
	verified := &pgharborv1.TrailVerification{Sequence: head.Sequence, Hash: head.Hash}
	if after.Valid() {
		verified.After = after.String()
	}
	for _, w := range witnesses {
		if w.Head.Sequence >= after.Sequence {
			verified.Witnesses = append(verified.Witnesses, fmt.Sprintf("%s: entry %d", w.Name, w.Head.Sequence))
		}
	}
	return a.print(verified, func() error {
		text := fmt.Sprintf("The trail holds: %d entries, head %s\n", head.Sequence, head)
		if after.Valid() {
			text += fmt.Sprintf("Sealed off before that, and not looked at: entries 1 to %d, head %s\n", after.Sequence, after)
		}
		if len(verified.Witnesses) > 0 {
			text += "It is what was seen by:\n"
		}
		for _, w := range verified.GetWitnesses() {
			text += "  " + output.Line(w) + "\n"
		}
		_, err := fmt.Fprint(a.Stdout, text)
		return err
	})
}
