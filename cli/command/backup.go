package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/random"
	"github.com/pgharbor/pgharbor/internal/shell"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func backupCommand(a *app) *cobra.Command {
	request := pgharborv1.StartBackupRequest{RequestId: random.ID()}
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
				return a.out.Print(response, func() error {
					_, err := fmt.Fprintln(a.out.Stdout, shell.Command("Started; see how it ends: pgharbor runs --instance %s", args[0]))
					return err
				})
			}
			return awaitBackup(ctx, a, conn, response.GetJob())
		}),
	})
	cmd.Flags().StringVar(&request.Database, "database", "", "only this database")
	cmd.Flags().BoolVar(&wait, "wait", true, "wait for the end")
	return cmd
}

func awaitBackup(ctx context.Context, a *app, conn *grpc.ClientConn, started *pgharborv1.Job) error {
	job, err := a.session.WatchJob(ctx, conn, started.GetId())
	if err != nil {
		return a.session.StillRunning(err, "backup", shell.Command("pgharbor runs --instance %s", started.GetInstance()))
	}
	failed := jobEnd("backup", job.GetId(), job.GetInstance(), job.GetState(), job.GetError(), job.GetFailure())
	// A script gets the result or nothing; a person also what went well of it.
	if failed != nil && a.out.Format == output.FormatJSON {
		return failed
	}
	if failed != nil && len(job.GetRuns()) == 0 {
		return failed
	}
	err = a.out.Print(&pgharborv1.GetJobResponse{Job: job}, func() error {
		if err := runTable(job.GetRuns(), a.out.Now()).Write(a.out.Stdout, "There was nothing to back up."); err != nil || !job.GetMoreRuns() {
			return err
		}
		_, err := fmt.Fprintf(a.out.Stdout, "There are more: %s\n", shell.Command("pgharbor runs --instance %s", job.GetInstance()))
		return err
	})
	if err != nil {
		return err
	}
	return failed
}
