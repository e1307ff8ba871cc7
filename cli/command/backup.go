package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/internal/shell"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func (a *app) backupCommand() *cobra.Command {
	request := pgharborv1.StartBackupRequest{RequestId: newRequestID()}
	var wait bool
	cmd := a.printing(&cobra.Command{
		Use:               "backup INSTANCE",
		Short:             "Back up now, one database or all that the agent covers",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeInstance,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			request.Instance = args[0]
			response, err := pgharborv1.NewBackupServiceClient(conn).StartBackup(ctx, &request)
			if err != nil {
				return err
			}
			if !wait {
				return a.print(response, func() error {
					_, err := fmt.Fprintln(a.Stdout, shell.Command("Started; see how it ends: pgharbor runs --instance %s", args[0]))
					return err
				})
			}
			return a.awaitBackup(ctx, conn, response.GetJob())
		}),
	})
	cmd.Flags().StringVar(&request.Database, "database", "", "only this database")
	cmd.Flags().BoolVar(&wait, "wait", true, "wait for the end")
	return cmd
}

func (a *app) awaitBackup(ctx context.Context, conn *grpc.ClientConn, started *pgharborv1.Job) error {
	job, err := a.watchJob(ctx, conn, started.GetId())
	if err != nil {
		return a.stillRunning(err, "backup", shell.Command("pgharbor runs --instance %s", started.GetInstance()))
	}
	failed := jobEnd("backup", job.GetId(), job.GetInstance(), job.GetState(), job.GetError(), job.GetFailure())
	// A script gets the result or nothing; a person also what went well of it.
	if failed != nil && a.format == output.FormatJSON {
		return failed
	}
	if failed != nil && len(job.GetRuns()) == 0 {
		return failed
	}
	err = a.print(&pgharborv1.GetJobResponse{Job: job}, func() error {
		if err := a.runTable(job.GetRuns()).Write(a.Stdout, "There was nothing to back up."); err != nil || !job.GetMoreRuns() {
			return err
		}
		_, err := fmt.Fprintf(a.Stdout, "There are more: %s\n", shell.Command("pgharbor runs --instance %s", job.GetInstance()))
		return err
	})
	if err != nil {
		return err
	}
	return failed
}
