package daemon

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/internal/exit"
)

func (c *command) newUnmark() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use:   "unmark DATABASE --confirm DATABASE",
		Short: "Say that you know what is in a database that was restored from a file of unknown origin",
		Long: `What is restored from a file of which nothing proves who made it is marked, and so
are its backups: they are restored sandboxed, as the file was. Unmark takes the mark
off the database: the backups that are made of it from now on count as this
agent's own. Look at its functions, triggers and rules first.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if confirm != args[0] {
				return &exit.Problem{Err: errors.New("the confirmation is missing or wrong"), Code: exit.Usage, Hint: "add --confirm with the name of the database"}
			}
			return c.unmark(cmd.Context(), args[0])
		},
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the same name again")
	return cmd
}

func (c *command) unmark(ctx context.Context, database string) (err error) {
	a, err := openAgent(c, toReplace) // the state folder has the mark
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	marked, err := a.runner.Backups.Marks.Of(ctx, database)
	if err != nil && !errors.Is(err, backup.ErrMarks) {
		return err
	}
	if marked == nil {
		_, err = fmt.Fprintf(c.Stdout, "%s is not marked\n", oneLine(database))
		return err
	}
	if err := a.runner.Backups.Marks.Unmark(ctx, database); err != nil {
		return fmt.Errorf("unmark %s: %w", oneLine(database), err)
	}
	_, err = fmt.Fprintf(c.Stdout, "%s is no longer marked; backups that are made of it from now on count as this agent's own\n", oneLine(database))
	return err
}
