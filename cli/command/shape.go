package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/cli/internal/output"
)

// noun returns a command that only groups others.
func noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	var names []string
	for _, verb := range verbs {
		names = append(names, verb.Name())
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("say which: %s", strings.Join(names, ", "))
		},
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// printing gives a command the flag -o.
func (a *app) printing(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().VarP(&a.out.Format, "format", "o", "how to print the result")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(
		[]string{string(output.FormatTable), string(output.FormatJSON)}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// approvable gives a command the flag --wait-approval.
func (a *app) approvable(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.session.WaitApproval, "wait-approval", false, "if this takes another person's approval, wait for it and go on")
}

// require makes a flag mandatory.
func require(cmd *cobra.Command, flag string) {
	if err := cmd.MarkFlagRequired(flag); err != nil {
		panic(err) // the flag has no such name: a mistake in this program
	}
}
