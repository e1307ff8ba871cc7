package daemon

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/exit"
)

func (c *command) newUndo() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use:   "undo RESTORE_ID --confirm NAME",
		Short: "Put the database back that a restore replaced",
		Long: `Undo gives the database NAME back that a restore replaced, in one step. What was
restored is moved aside and kept, as the old one was.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if confirm == "" {
				return &exit.Problem{Err: errors.New("the confirmation is missing"), Code: exit.Usage, Hint: "add --confirm with the name of the database"}
			}
			return c.undo(cmd.Context(), args[0], confirm)
		},
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the name of the database that was replaced")
	return cmd
}

func (c *command) undo(ctx context.Context, restoreID, confirm string) (err error) {
	a, err := openAgent(c, toReplace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	displaced, err := a.runner.Displacements.Undo(ctx, restoreID, confirm)
	if err != nil {
		return withHint(err, "pgharbor-agent restores shows what is kept")
	}
	_, err = fmt.Fprintf(c.Stdout, "%s is again as it was before restore %s; what was restored is kept as %s %s\n",
		oneLine(displaced.Database), restoreID, oneLine(displaced.NewName), until(displaced))
	return err
}

func (c *command) newRestores() *cobra.Command {
	return &cobra.Command{
		Use:   "restores",
		Short: "List what restores have replaced, and for how long it is kept",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return c.restores() },
	}
}

func (c *command) restores() (err error) {
	a, err := openAgent(c, toReplace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	all, err := a.state.Displaced.All()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tDATABASE\tREPLACED\tUNDONE\tKEPT\tUNTIL")
	for _, displaced := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", displaced.RestoreID, oneLine(displaced.Database), moment(displaced.ReplacedAt),
			moment(displaced.UndoneAt), oneLine(displaced.Name()), moment(displaced.Until))
	}
	return table.Flush()
}

func moment(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.Local().Format(time.RFC3339)
}

// until says for how long something is kept.
func until(k state.DisplacedDatabase) string {
	if k.Until.IsZero() {
		return "until it is dropped by hand"
	}
	return "until " + moment(k.Until)
}
