package daemon

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
)

func (c *command) newBackup() *cobra.Command {
	var database string
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Back up once, here and now, with or without a control plane",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.backup(cmd.Context(), database) },
	}
	cmd.Flags().StringVar(&database, "database", "", "the one database to back up (default: those of BACKUP_DATABASES, or all)")
	return cmd
}

func (c *command) backup(ctx context.Context, database string) (err error) {
	a, err := openAgent(c, toBackUp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.runner.Recovery.Recover(ctx); err != nil {
		c.log.Error("not all that an earlier run left could be taken up", "error", err)
	}
	for _, warning := range a.warnings {
		c.log.Warn(warning)
	}
	request := job.Request{Trigger: state.TriggerManual}
	if database != "" {
		request.Databases = []string{database}
	}
	outcomes := a.runner.Runs.BackUp(ctx, request)
	for _, outcome := range outcomes {
		if m := outcome.Manifest; m != nil {
			path := a.store.Describe(store.Location{Database: m.Database, File: m.Filename})
			fmt.Fprintf(c.Stdout, "%s  %d bytes  %s\n", m.ID, m.SizeBytes, oneLine(path))
		}
	}
	return job.Failures(outcomes)
}
