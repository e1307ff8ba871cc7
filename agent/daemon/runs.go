package daemon

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

func (c *command) newRuns() *cobra.Command {
	failed := false
	cmd := &cobra.Command{
		Use:   "runs [ID] [--failed]",
		Short: "List what has ended here, with the server's own words",
		Long: `Lists the runs, jobs, restores and test restores that have ended on this host, the
newest first. With the id of a run, a job, a restore or a backup it shows those with
the words of PostgreSQL and its tools. These may quote rows, so they are kept on this
host alone, and only for the last 1000.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return c.showRun(args[0], failed)
			}
			return c.listRuns(failed)
		},
	}
	cmd.Flags().BoolVar(&failed, "failed", false, "only what failed")
	return cmd
}

// ended returns what is remembered, the newest first.
func (c *command) ended(failed bool) (chosen []state.Ended, err error) {
	if err := checkOwner(c.stateDir); err != nil {
		return nil, err
	}
	folder, err := state.Open(c.stateDir)
	if err != nil {
		return nil, withHint(err, "--state-dir or PGHARBOR_STATE_DIR names the folder of the agent")
	}
	all, err := folder.History.All()
	if err != nil && len(all) == 0 {
		return nil, err
	}
	if err != nil {
		c.log.Error("not all of the history can be read", "error", err)
	}
	for _, e := range all {
		if !failed || e.State == state.StateFailed {
			chosen = append(chosen, e)
		}
	}
	return chosen, nil
}

// shownError is how much of an error a line of the list has, in characters.
const shownError = 120

func (c *command) listRuns(failed bool) error {
	all, err := c.ended(failed)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKIND\tDATABASE\tSTATE\tSTARTED\tTOOK\tBACKUP\tWHY")
	for _, e := range all {
		why := []rune(oneLine(e.Error))
		if len(e.Error) == 0 && len(e.Warnings) > 0 {
			why = []rune(oneLine(e.Warnings[0]))
		}
		if len(why) > shownError {
			why = append(why[:shownError-1], '…')
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.Kind, orDash(oneLine(e.Database)), e.State,
			moment(e.StartedAt), took(e), orDash(oneLine(e.BackupID)), string(why))
	}
	return table.Flush()
}

func (c *command) showRun(id string, failed bool) error {
	all, err := c.ended(failed)
	if err != nil {
		return err
	}
	shown := 0
	for _, e := range all {
		if !e.Is(id) {
			continue
		}
		if shown++; shown > 1 {
			fmt.Fprintln(c.Stdout)
		}
		c.printEnded(e)
	}
	if shown == 0 {
		return withHint(fmt.Errorf("%w: nothing that has ended here has the id %q", backup.ErrNotFound, id),
			"pgharbor-agent runs lists what is remembered; the log of the agent goes back further")
	}
	return nil
}

func (c *command) printEnded(e state.Ended) {
	fields := [][2]string{
		{"Id", e.ID}, {"Kind", e.Kind}, {"Database", e.Database}, {"State", e.State}, {"Trigger", e.Trigger},
		{"Started", moment(e.StartedAt)}, {"Took", took(e)}, {"Backup", e.BackupID}, {"Job", e.JobID}, {"Error", e.Error},
	}
	for _, warning := range e.Warnings {
		fields = append(fields, [2]string{"Warning", warning})
	}
	for _, field := range fields {
		if field[1] != "" {
			fmt.Fprintf(c.Stdout, "%-10s%s\n", field[0], oneLine(field[1]))
		}
	}
	if e.Words == "" {
		return
	}
	fmt.Fprintln(c.Stdout, "In the words of PostgreSQL and its tools:")
	for line := range strings.Lines(e.Words) {
		fmt.Fprintf(c.Stdout, "    %s\n", oneLine(line))
	}
}

func took(e state.Ended) string {
	if e.StartedAt.IsZero() {
		return "-"
	}
	return e.FinishedAt.Sub(e.StartedAt).Round(time.Millisecond).String()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
