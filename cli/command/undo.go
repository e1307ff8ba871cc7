package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/random"
	"github.com/pgharbor/pgharbor/internal/shell"
	"github.com/pgharbor/pgharbor/internal/words"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// runPreview prints the checks of a restore, and fails if one of them failed.
func runPreview(ctx context.Context, a *app, asked *pgharborv1.CreateRestoreRequest) error {
	conn, err := a.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := previewable(ctx, conn, asked); err != nil {
		return err
	}
	restores := pgharborv1.NewRestoreServiceClient(conn)
	started, err := restores.PreviewRestore(ctx, &pgharborv1.PreviewRestoreRequest{
		BackupId: asked.GetBackupId(), TargetDatabase: asked.GetTargetDatabase(), Replace: asked.GetReplace(),
		WithRoles: asked.GetWithRoles(), RequestId: asked.GetRequestId(),
	})
	if err != nil {
		return err
	}
	id := started.GetRestore().GetId()
	if _, err := a.session.WatchJob(ctx, conn, id); err != nil {
		return err
	}
	response, err := restores.GetRestore(ctx, &pgharborv1.GetRestoreRequest{Id: id})
	if err != nil {
		return err
	}
	restore := response.GetRestore()
	if err := jobEnd("preview", id, restore.GetInstance(), restore.GetState(), restore.GetError(), restore.GetFailure()); err != nil {
		return err
	}
	if err := a.out.Print(response, func() error { return printPreflight(a.out, restore.GetChecks()) }); err != nil {
		return err
	}
	failed := 0
	for _, check := range restore.GetChecks() {
		if check.GetResult() == words.CheckFailed {
			failed++
		}
	}
	if failed > 0 {
		return exit.Fail(exit.Failed, "%d of %d checks failed: the restore would not begin", failed, len(restore.GetChecks()))
	}
	return nil
}

// previewable refuses a preview on another instance: only the agent that has the backup's file can check it.
func previewable(ctx context.Context, conn *grpc.ClientConn, asked *pgharborv1.CreateRestoreRequest) error {
	if asked.GetTargetInstance() == "" {
		return nil
	}
	response, err := getBackup(ctx, conn, asked.GetBackupId())
	if err != nil {
		return err
	}
	if own := response.GetBackup().GetInstance(); own != asked.GetTargetInstance() {
		return exit.Fail(exit.Usage, "there is no preflight on %s: the file of the backup is on %s", output.Name(asked.GetTargetInstance()), output.Name(own)).
			WithHint("leave out --preview: the agent of %s runs the preflight before it takes a byte of the file, and begins nothing if a check fails", asked.GetTargetInstance())
	}
	return nil
}

func printPreflight(out *output.Printer, checks []*pgharborv1.RestoreCheck) error {
	for _, check := range checks {
		line := output.Line(check.GetName()) + ": " + output.Line(check.GetDetail())
		if check.GetRemedy() != "" {
			line += " — " + output.Line(check.GetRemedy())
		}
		if _, err := fmt.Fprintf(out.Stdout, "%-8s%s\n", output.Line(check.GetResult()), line); err != nil {
			return err
		}
	}
	return nil
}

// withRemedy adds the remedy of the first failed check to the error of a restore that did not begin.
func withRemedy(err error, checks []*pgharborv1.RestoreCheck) error {
	var p *exit.Problem
	if !errors.As(err, &p) || p.Hint != "" {
		return err
	}
	for _, check := range checks {
		if check.GetResult() == words.CheckFailed && check.GetRemedy() != "" {
			return p.WithHint("%s", shell.Words(output.Line(check.GetRemedy())))
		}
	}
	return err
}

func undoCommand(a *app) *cobra.Command {
	request := pgharborv1.UndoRestoreRequest{RequestId: random.ID()}
	cmd := a.printing(&cobra.Command{
		Use:   "undo RESTORE_ID --confirm NAME",
		Short: "Put the database back that a restore replaced",
		Long: `Undo gives the database NAME back that a restore with --replace has moved aside, in
one step. What was restored is moved aside in its turn and kept for as long, with all
that was written to it since.

Where a policy makes a replacement wait for another person, its undo waits too, but for
who made it within 15 minutes.`,
		Args: cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			request.RestoreId = args[0]
			return runUndo(ctx, a, conn, &request)
		}),
	})
	cmd.Flags().StringVar(&request.Confirm, "confirm", "", "the name of the database that was replaced")
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why, for the audit log")
	a.approvable(cmd)
	return cmd
}

func runUndo(ctx context.Context, a *app, conn *grpc.ClientConn, request *pgharborv1.UndoRestoreRequest) error {
	if request.GetConfirm() == "" {
		if !a.prompt.Interactive() {
			return exit.Fail(exit.Usage, "--confirm is missing: it repeats the name of the database").
				WithHint("add --confirm with that name, or run it on a terminal")
		}
		answer, err := a.prompt.Ask(ctx, "Type the name of the database to put back: ")
		if err != nil {
			return err
		}
		request.Confirm = answer
	}
	restores := pgharborv1.NewRestoreServiceClient(conn)
	started, err := restores.UndoRestore(ctx, request)
	if err != nil {
		return err
	}
	job, err := a.session.WatchJob(ctx, conn, started.GetJobId())
	if err != nil {
		return a.session.StillRunning(err, "undo", "pgharbor restores")
	}
	if err := jobEnd("undo", job.GetId(), job.GetInstance(), job.GetState(), job.GetError(), job.GetFailure()); err != nil {
		return err
	}
	response, err := restores.GetRestore(ctx, &pgharborv1.GetRestoreRequest{Id: request.GetRestoreId()})
	if err != nil {
		return err
	}
	restore := response.GetRestore()
	return a.out.Print(response, func() error {
		_, err := fmt.Fprintf(a.out.Stdout, "%s on %s is again as it was before restore %s. What was restored is kept as %s%s.\n",
			output.Name(restore.GetTargetDatabase()), output.Name(restore.GetInstance()), output.Name(restore.GetId()),
			output.Name(restore.GetKeptDatabase()), until(restore, a.out.Now()))
		return err
	})
}

// until returns how long a replaced database is kept.
func until(restore *pgharborv1.Restore, now time.Time) string {
	if restore.GetKeptUntil() == nil {
		return " until it is dropped by hand"
	}
	return " until " + output.Time(restore.GetKeptUntil(), now.Location())
}

// displacedText is the column of the replaced database that a restore has kept.
func displacedText(restore *pgharborv1.Restore, now time.Time) string {
	displaced := "-"
	if restore.GetKeptDatabase() != "" {
		displaced = output.Name(restore.GetKeptDatabase()) + until(restore, now)
	}
	if restore.GetUndoneAt() != nil {
		displaced += ", undone " + output.Time(restore.GetUndoneAt(), now.Location())
	}
	return displaced
}
