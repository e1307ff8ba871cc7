package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/cli/internal/auditlog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/internal/exit"
)

func auditVerifyCommand(a *app) *cobra.Command {
	var v auditVerification
	cmd := a.printing(&cobra.Command{
		Use:   "verify",
		Short: "Name the first entry of the audit log that was edited, dropped, reordered or cut off; exit 6 then",
		Long: `Fetches the whole audit log and verifies it here: every hash, the checkpoints that agents have
seen, and the one that you verified last, which is kept with your login. A control
plane can make a new chain, but none that ends in a head which others hold.

What was sealed off is not looked at without its files, so that a head from before
can't be checked: --head fails then with exit 1, and what you verified before is warned
of each time. --sealed takes the files and verifies all of it.

After a catalog had to be restored from an older copy, --accept makes the audit log of
this moment the one that later ones are held to.`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return verifyAudit(ctx, a, v) }),
	})
	cmd.Flags().StringVar(&v.file, "file", "", "verify an export instead of the control plane's audit log; - is standard input")
	cmd.Flags().StringArrayVar(&v.checkpoints, "head", nil,
		"a checkpoint that somebody wrote down, SEQUENCE:HASH, as pgharbor-agent trail prints it; may be given more than once")
	cmd.Flags().StringArrayVar(&v.sealed, "sealed", nil,
		"a file that was sealed off, to be verified before the control plane's audit log; once for each, the oldest first")
	cmd.Flags().BoolVar(&v.accept, "accept", false, "forget what you verified before")
	cmd.Flags().StringVar(&v.after, "after", "", "with --file or --sealed: the checkpoint of the part before it, SEQUENCE:HASH, if the (first) file is a part that was sealed off later")
	cmd.MarkFlagsMutuallyExclusive("file", "accept")
	cmd.MarkFlagsMutuallyExclusive("file", "sealed")
	return cmd
}

// auditVerification is what audit verify was asked to verify, and against what.
type auditVerification struct {
	file        string
	sealed      []string
	checkpoints []string
	after       string
	accept      bool
}

// asked names the witness of a checkpoint that was given with --head.
const asked = "the witness of --head"

func verifyAudit(ctx context.Context, a *app, v auditVerification) error {
	var witnesses []chain.Witness
	for _, text := range v.checkpoints {
		checkpoint, err := chain.ParseCheckpoint(text)
		if err != nil {
			return exit.Fail(exit.Usage, "--head: %w", err)
		}
		witnesses = append(witnesses, chain.Witness{Checkpoint: checkpoint, Name: asked})
	}
	var after chain.Checkpoint
	if v.after != "" {
		var err error
		if after, err = chain.ParseCheckpoint(v.after); err != nil || v.file == "" && len(v.sealed) == 0 {
			return exit.Fail(exit.Usage, "--after goes with --file or --sealed, and is SEQUENCE:HASH")
		}
	}
	if v.file != "" {
		verifier, err := auditlog.VerifyFile(auditlog.File(v.file, a.env.Stdin), after, witnesses)
		if err != nil {
			return err
		}
		return auditlog.Show(a.out, verifier, after, witnesses)
	}
	return verifyAuditLog(ctx, a, v, after, witnesses)
}
