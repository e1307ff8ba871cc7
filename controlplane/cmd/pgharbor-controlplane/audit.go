package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/server"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "The trail, as it stands in the catalog on this host",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("say verify; %s --help explains", cmd.CommandPath())}
		},
	}
	cmd.AddCommand(auditVerifyCommand())
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	var dataDir string
	var seen []string
	cmd := &cobra.Command{
		Use:   "verify --data-dir DIR",
		Short: "Name the first entry of the trail that was edited, dropped, reordered or cut off; exit 6 then",
		Long: `Walks the trail in the catalog, whether a control plane serves it or not, and holds
it to what the agents have seen of it, by what the catalog knows of that. Who doubts
this host compares with what agents and people keep elsewhere: pgharbor audit verify,
and --head with what pgharbor-agent trail prints.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dataDir == "" {
				return usageError{fmt.Errorf("--data-dir is missing")}
			}
			var heads []chain.Head
			for _, text := range seen {
				head, err := chain.ParseHead(text)
				if err != nil {
					return usageError{fmt.Errorf("--head: %w", err)}
				}
				heads = append(heads, head)
			}
			head, err := server.VerifyAudit(cmd.Context(), dataDir, heads...)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The trail holds: %d entries, head %s\n", head.Sequence, head)
			return err
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder that init made, or a copy of it")
	cmd.Flags().StringArrayVar(&seen, "head", nil, "a head that somebody has noted, SEQUENCE:HASH; may be given more than once")
	return cmd
}
