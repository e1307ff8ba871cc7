package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/controlplane/server"
)

func recoverOwnerCommand() *cobra.Command {
	o := server.RecoverOptions{Now: time.Now}
	var output string
	cmd := &cobra.Command{
		Use:   "recover-owner --data-dir DIR",
		Short: "Make an OWNER's invite on this host, if no OWNER can log in any longer",
		Long: `Recover-owner makes an invite for an OWNER of the whole fleet. It works on the data folder,
whether the control plane serves or not, and the audit log says that the host did it. Run it
as the user that the control plane runs as.

NAME may be somebody new, an OWNER who has lost their devices, or somebody who was
revoked and begins anew. Who is less than an OWNER and has devices is refused, because
those devices would become an OWNER's.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.DataDir == "" {
				return usageError(fmt.Errorf("--data-dir is missing"))
			}
			if output != "text" && output != "json" {
				return usageError(fmt.Errorf("--output is text or json, not %q", output))
			}
			made, err := server.RecoverOwner(cmd.Context(), o)
			if err != nil {
				return err
			}
			return printRecovered(cmd, o.Owner, made, output)
		},
	}
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "", "folder of the control plane")
	cmd.Flags().StringVar(&o.Owner, "owner", "owner", "name of the OWNER")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printRecovered(cmd *cobra.Command, owner string, made server.Initialised, output string) error {
	if output == "json" {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetIndent("", "  ")
		return encoder.Encode(made)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), `%s logs in as an OWNER of the whole fleet, once, before %s:

  pgharbor login %s

Then look at the devices that were lost, and end them:

  pgharbor users devices %s
  pgharbor users revoke %s --device ID
`, owner, made.ExpiresAt.Format(time.RFC3339), made.Invite, owner, owner)
	return err
}
