package command

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/random"
	"github.com/pgharbor/pgharbor/internal/shell"
	"github.com/pgharbor/pgharbor/internal/words"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func restoreCommand(a *app) *cobra.Command {
	request := pgharborv1.CreateRestoreRequest{RequestId: random.ID()}
	var wait, preview, roles, superuserRoles bool
	cmd := a.printing(&cobra.Command{
		Use:   "restore ID --to-database NAME --confirm NAME --reason TEXT [--replace]",
		Short: "Restore a backup into a new database, or in the place of one, here or on another instance",
		Long: `Restore brings a backup back as a new database, on the instance that it was made of or,
with --to-instance, on another one: its agent fetches the sealed file through the control
plane, and needs the passphrase.
The database must not exist; it appears under its name when all of it stands. With
--replace it takes the place of the one that exists, which is moved aside in the same
step and kept: pgharbor undo puts it back. What may stand in the way is looked at
first, and alone with --preview; the file is verified before its first byte reaches
Postgres.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeBackup,
		RunE: a.run(func(ctx context.Context, args []string) error {
			request.BackupId = args[0]
			request.WithRoles = withRoles(roles, superuserRoles)
			if preview {
				return runPreview(ctx, a, &request)
			}
			return runRestore(ctx, a, &request, wait)
		}),
	})
	flags := cmd.Flags()
	flags.StringVar(&request.TargetDatabase, "to-database", "", "the database to make")
	flags.StringVar(&request.TargetInstance, "to-instance", "", "the instance to restore on (default: the backup's own)")
	flags.StringVar(&request.Confirm, "confirm", "", "the same name again")
	flags.StringVar(&request.Reason, "reason", "", "why, for the audit log")
	flags.BoolVar(&request.Replace, "replace", false, "take the place of the database that has the name, which is kept")
	flags.BoolVar(&preview, "preview", false, "only run the preflight: a line each, OK, WARN or FAILED with what to do")
	flags.BoolVar(&roles, "with-roles", false, "make the roles first that are kept with the backup and missing there, without superuser attributes")
	flags.BoolVar(&superuserRoles, "with-superuser-roles", false, "the same, with superuser attributes")
	flags.BoolVar(&request.TrustContent, "trust-content", false, "run the code in the dump with all the rights of the agent, if its host allows that: you trust everybody who owned something in the database")
	flags.BoolVar(&wait, "wait", true, "wait for the end")
	a.approvable(cmd)
	require(cmd, "to-database")
	return cmd
}

// withRoles returns the word for the roles that a restore is to create.
func withRoles(missing, superuser bool) string {
	switch {
	case superuser:
		return words.RolesSuperuser
	case missing:
		return words.RolesMissing
	default:
		return ""
	}
}

func runRestore(ctx context.Context, a *app, request *pgharborv1.CreateRestoreRequest, wait bool) error {
	if err := checkConfirmation(a, request); err != nil {
		return err
	}
	conn, err := a.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := askConfirmation(ctx, a, conn, request); err != nil {
		return err
	}
	restores := pgharborv1.NewRestoreServiceClient(conn)
	created, err := restores.CreateRestore(ctx, request)
	if err != nil {
		return err
	}
	if !wait {
		return a.out.Print(created, func() error {
			_, err := fmt.Fprintf(a.out.Stdout, "Started restore %s; see how it ends: pgharbor restores\n", output.Name(created.GetRestore().GetId()))
			return err
		})
	}
	return awaitRestore(ctx, a, conn, created.GetRestore())
}

// checkConfirmation refuses a wrong confirmation before anything is asked or sent.
func checkConfirmation(a *app, request *pgharborv1.CreateRestoreRequest) error {
	ask := a.prompt.Interactive()
	switch {
	case request.GetTargetDatabase() == "":
		return exit.Fail(exit.Usage, "--to-database is empty")
	case request.GetConfirm() == "" && !ask:
		return exit.Fail(exit.Usage, "--confirm is missing: it repeats the name of the new database").
			WithHint("add --confirm with that name, or run it on a terminal")
	case request.GetConfirm() != "" && request.GetConfirm() != request.GetTargetDatabase():
		return exit.Fail(exit.Usage, "--confirm is %q, but the new database is %q", request.GetConfirm(), request.GetTargetDatabase())
	case request.GetReason() == "" && !ask:
		return exit.Fail(exit.Usage, "--reason is missing: the audit log keeps why").WithHint("add --reason TEXT, or run it on a terminal")
	default:
		return nil
	}
}

// askConfirmation asks on the terminal for the confirmation and the reason if the command line left them out.
func askConfirmation(ctx context.Context, a *app, conn *grpc.ClientConn, request *pgharborv1.CreateRestoreRequest) error {
	if request.GetConfirm() == "" {
		response, err := getBackup(ctx, conn, request.GetBackupId())
		if err != nil {
			return err
		}
		backup := response.GetBackup()
		into := "into the new database"
		if request.GetReplace() {
			into = "in the place of the database"
		}
		a.out.Say("This restores %s of %s, as it was on %s, %s %s on %s.", output.Name(backup.GetDatabase()), output.Name(backup.GetInstance()),
			output.Time(backup.GetCreatedAt(), a.out.Now().Location()), into, output.Name(request.GetTargetDatabase()),
			output.Name(cmp.Or(request.GetTargetInstance(), backup.GetInstance())))
		if request.GetTrustContent() {
			a.out.Say("The code in it runs with all the rights of the agent there.")
		}
		answer, err := a.prompt.Ask(ctx, "Type the name of that database to go on: ")
		if err != nil {
			return err
		}
		if answer != request.GetTargetDatabase() {
			return exit.Fail(exit.Usage, "that is not the name: nothing was done")
		}
		request.Confirm = answer
	}
	if request.GetReason() == "" {
		answer, err := a.prompt.Ask(ctx, "Why, for the audit log: ")
		if err != nil {
			return err
		}
		if answer == "" {
			return exit.Fail(exit.Usage, "without a reason nothing was done")
		}
		request.Reason = answer
	}
	return nil
}

func awaitRestore(ctx context.Context, a *app, conn *grpc.ClientConn, started *pgharborv1.Restore) error {
	const kind, next = "restore", "pgharbor restores"
	if _, err := a.session.WatchJob(ctx, conn, started.GetId()); err != nil {
		return a.session.StillRunning(err, kind, next)
	}
	response, err := pgharborv1.NewRestoreServiceClient(conn).GetRestore(ctx, &pgharborv1.GetRestoreRequest{Id: started.GetId()})
	if err != nil {
		return err
	}
	restore := response.GetRestore()
	instance := cmp.Or(restore.GetTargetInstance(), restore.GetInstance())
	if err := jobEnd(kind, restore.GetId(), instance, restore.GetState(), restore.GetError(), restore.GetFailure()); err != nil {
		return withRemedy(err, restore.GetChecks())
	}
	return a.out.Print(response, func() error {
		var took string
		if restore.GetStartedAt() != nil && restore.GetFinishedAt() != nil {
			took = " in " + output.Duration(restore.GetFinishedAt().AsTime().Sub(restore.GetStartedAt().AsTime()))
		}
		_, err := fmt.Fprintf(a.out.Stdout, "Restored backup %s into %s on %s%s. The restore is %s.\n", output.Name(restore.GetBackupId()),
			output.Name(restore.GetTargetDatabase()), output.Name(instance), took, output.Name(restore.GetId()))
		for _, lacks := range restore.GetWarnings() {
			if err == nil {
				_, err = fmt.Fprintf(a.out.Stdout, "It lacks something: %s\n", output.Line(lacks))
			}
		}
		if err != nil || restore.GetKeptDatabase() == "" {
			return err
		}
		_, err = fmt.Fprintf(a.out.Stdout, "The database before it is kept as %s%s. To put it back: %s\n", output.Name(restore.GetKeptDatabase()), until(restore, a.out.Now()),
			shell.Command("pgharbor undo %s --confirm %s", restore.GetId(), restore.GetTargetDatabase()))
		return err
	})
}
