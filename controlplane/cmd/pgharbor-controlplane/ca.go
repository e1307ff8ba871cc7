package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/controlplane/server"
)

// caCommand is the rotation of the CA, on the control plane's host. None of it
// needs the control plane to be stopped.
func caCommand() *cobra.Command {
	ca := &cobra.Command{
		Use:   "ca",
		Short: "Show and rotate the certificate authority of the fleet",
		Long: `The certificate authority is rotated with an overlap, and with the control plane
running: "ca rotate" makes the next one, agents and people take to it by themselves
(agents within the hour, people with their next command), "ca list" shows who has
not yet, and "ca retire" removes the older one when nobody needs it any longer.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError(fmt.Errorf("say list, rotate or retire; %s --help explains", cmd.CommandPath()))
		},
	}
	var force bool
	retire := caSubcommand("retire", "Remove the older CA and its key, unless somebody would be locked out",
		func(ctx context.Context, dataDir string) (server.CAs, error) {
			return server.RetireCA(ctx, dataDir, force, time.Now().UTC())
		})
	retire.Flags().BoolVar(&force, "force", false, "lock out those who still need it: they have to be enrolled again")
	ca.AddCommand(retire,
		caSubcommand("list", "List the CAs, and who still needs the older one",
			func(ctx context.Context, dataDir string) (server.CAs, error) {
				return server.ListCAs(ctx, dataDir, time.Now().UTC())
			}),
		caSubcommand("rotate", "Make the next CA, in addition to the current one",
			func(ctx context.Context, dataDir string) (server.CAs, error) {
				return server.RotateCA(ctx, dataDir, time.Now().UTC())
			}))
	return ca
}

func caSubcommand(name, short string, do func(context.Context, string) (server.CAs, error)) *cobra.Command {
	var dataDir, output string
	cmd := &cobra.Command{
		Use: name + " --data-dir DIR", Short: short, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dataDir == "" {
				return usageError(fmt.Errorf("--data-dir is missing"))
			}
			if output != "text" && output != "json" {
				return usageError(fmt.Errorf("--output is text or json, not %q", output))
			}
			state, err := do(cmd.Context(), dataDir)
			if err != nil {
				return err
			}
			return printCAs(cmd.OutOrStdout(), state, output)
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "folder that init made")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printCAs(out io.Writer, state server.CAs, output string) error {
	if output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(state)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CA\tMADE\tENDS\tCERTIFIES")
	for _, a := range state.Authorities {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", a.Fingerprint, day(a.MadeAt), day(a.EndsAt), a.Certifies)
	}
	if len(state.Authorities) > 1 && len(state.Behind) == 0 {
		fmt.Fprintln(table, "\nNobody needs the older one any longer: pgharbor-controlplane ca retire")
	}
	if len(state.Behind) > 0 {
		fmt.Fprintln(table, "\nSTILL NEEDS THE OLDER ONE\tENDS\tBECAUSE")
		for _, b := range state.Behind {
			fmt.Fprintf(table, "%s\t%s\t%s\n", b.Who, day(b.EndsAt), b.Why)
		}
	}
	return table.Flush()
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04 MST")
}
