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

func holdCommand(a *app) *cobra.Command {
	request := pgharborv1.HoldBackupRequest{RequestId: random.ID()}
	cmd := a.printing(&cobra.Command{
		Use:   "hold ID",
		Short: "Keep a backup from retention until it is released",
		Long: `Hold keeps a backup, whatever its age, until pgharbor release. The hold stands beside
the backup's file on its agent's disk: it needs no control plane, and survives a new one.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeBackup,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			request.Id = args[0]
			response, err := pgharborv1.NewBackupServiceClient(conn).HoldBackup(ctx, &request)
			if err != nil {
				return err
			}
			return awaitHold(ctx, a, conn, response.GetJob(), "Backup %s is held.\n", args[0])
		}),
	})
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why, for the audit log and for those who look at it later")
	return cmd
}

func releaseCommand(a *app) *cobra.Command {
	request := pgharborv1.ReleaseBackupRequest{RequestId: random.ID()}
	cmd := a.printing(&cobra.Command{
		Use:               "release ID",
		Short:             "End the hold of a backup: retention may remove it again",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeBackup,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			request.Id = args[0]
			before, err := getBackup(ctx, conn, args[0])
			if err != nil {
				return err
			}
			response, err := pgharborv1.NewBackupServiceClient(conn).ReleaseBackup(ctx, &request)
			if err != nil {
				return err
			}
			done := "Backup %s is no longer held.\n"
			if !before.GetBackup().GetHeld() {
				done = "Backup %s is not held, and as far as is known it was not.\n"
			}
			return awaitHold(ctx, a, conn, response.GetJob(), done, args[0])
		}),
	})
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why, for the audit log")
	a.approvable(cmd)
	return cmd
}

// awaitHold waits for the end of a hold or a release, and prints it.
func awaitHold(ctx context.Context, a *app, conn *grpc.ClientConn, started *pgharborv1.Job, done, id string) error {
	backup, err := awaitBackupJob(ctx, a, conn, started, id)
	if err != nil {
		return err
	}
	return a.out.Print(backup, func() error {
		_, err := fmt.Fprintf(a.out.Stdout, done, output.Name(id))
		return err
	})
}

// awaitBackupJob waits for the end of a job about one backup, and returns the backup as it is then.
func awaitBackupJob(ctx context.Context, a *app, conn *grpc.ClientConn, started *pgharborv1.Job, id string) (*pgharborv1.GetBackupResponse, error) {
	job, err := a.session.WatchJob(ctx, conn, started.GetId())
	if err != nil {
		return nil, a.session.StillRunning(err, started.GetKind(), shell.Command("pgharbor show %s", id))
	}
	if err := jobEnd(job.GetKind(), job.GetId(), job.GetInstance(), job.GetState(), job.GetError(), job.GetFailure()); err != nil {
		return nil, err
	}
	return getBackup(ctx, conn, id)
}
