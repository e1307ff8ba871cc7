package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/server"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "The audit log, as it is in the catalog on this host",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError(fmt.Errorf("say verify or seal; %s --help explains", cmd.CommandPath()))
		},
	}
	cmd.AddCommand(auditVerifyCommand(), auditSealCommand())
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	var dataDir string
	var seen []string
	cmd := &cobra.Command{
		Use:   "verify --data-dir DIR",
		Short: "Name the first entry of the audit log that was edited, dropped, reordered or cut off; exit 6 then",
		Long: `Walks the audit log in the catalog, whether a control plane serves it or not, and holds
it to what the agents have seen of it, by what the catalog knows of that. Who doubts
this host compares with what agents and people keep elsewhere: pgharbor audit verify,
and --head with what pgharbor-agent trail prints. One that lies in what was sealed off
can't be checked here: exit 1.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dataDir == "" {
				return usageError(fmt.Errorf("--data-dir is missing"))
			}
			var checkpoints []chain.Checkpoint
			for _, text := range seen {
				checkpoint, err := chain.ParseCheckpoint(text)
				if err != nil {
					return usageError(fmt.Errorf("--head: %w", err))
				}
				checkpoints = append(checkpoints, checkpoint)
			}
			checkpoint, err := server.VerifyAudit(cmd.Context(), dataDir, checkpoints...)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("The audit log holds: %d entries, checkpoint %s\n", checkpoint.Sequence, checkpoint)
			sealed, checked, err := server.SealedCheckpoint(cmd.Context(), dataDir)
			if err != nil {
				return err
			}
			if sealed.Valid() {
				text += fmt.Sprintf("Sealed off, and not looked at: entries 1 to %d, checkpoint %s\n", sealed.Sequence, sealed)
				if !checked {
					text += "The seal's signature was not checked: the folder has no keys.\n"
				}
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder that init made, or a copy of it")
	cmd.Flags().StringArrayVar(&seen, "head", nil, "a checkpoint that somebody wrote down, SEQUENCE:HASH; may be given more than once")
	return cmd
}

func auditSealCommand() *cobra.Command {
	o := server.SealOptions{Now: time.Now}
	cmd := &cobra.Command{
		Use:   "seal --data-dir DIR --year YEAR FILE",
		Short: "Move the audit log up to the end of a year to a file, and let the rest go on from its signed head",
		Long: `Writes the entries of a year that is over, and of those before it, to a new file as
pgharbor audit export does, reads it again and verifies it, and only then deletes them
from the catalog, whether a control plane serves it or not. The audit log goes on from
their head, which is signed, and audit verify begins there. Keep the file: nothing else
has what is in it. pgharbor audit verify --file checks it; --after takes the head of the
part before it.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(cmd, args); err != nil {
				return usageError(err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.File = args[0]; o.DataDir == "" || o.Year == 0 {
				return usageError(fmt.Errorf("--data-dir or --year is missing"))
			}
			sealed, err := server.SealAudit(cmd.Context(), o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Sealed off: entries %d to %d, checkpoint %s\n%s  %s\n",
				sealed.From, sealed.Checkpoint.Sequence, sealed.Checkpoint, sealed.SHA256, o.File)
			return err
		},
	}
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "", "folder that init made")
	cmd.Flags().IntVar(&o.Year, "year", 0, "the last year that goes to the file, UTC; it is over")
	return cmd
}
