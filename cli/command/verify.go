package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/random"
	"github.com/pgharbor/pgharbor/internal/shell"
	"github.com/pgharbor/pgharbor/internal/words"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func verifyCommand(a *app) *cobra.Command {
	request := pgharborv1.VerifyBackupRequest{RequestId: random.ID()}
	var wait bool
	cmd := a.printing(&cobra.Command{
		Use:   "verify ID",
		Short: "Restore a backup for a test, in a throwaway server on its agent's host",
		Long: `Verify has the agent restore a backup into a server of its own, which nobody can reach,
count the rows of every table against the manifest, and remove all of that again. The
instance is not touched. A backup that does not come back counts for nothing from then on.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeBackup,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			request.Id = args[0]
			response, err := pgharborv1.NewBackupServiceClient(conn).VerifyBackup(ctx, &request)
			if err != nil {
				return err
			}
			if !wait {
				return a.out.Print(response, func() error {
					_, err := fmt.Fprintln(a.out.Stdout, shell.Command("Started; see how it ends: pgharbor show %s", args[0]))
					return err
				})
			}
			return awaitVerify(ctx, a, conn, response.GetJob(), args[0])
		}),
	})
	cmd.Flags().BoolVar(&wait, "wait", true, "wait for the end")
	return cmd
}

func awaitVerify(ctx context.Context, a *app, conn *grpc.ClientConn, started *pgharborv1.Job, id string) error {
	backup, err := awaitBackupJob(ctx, a, conn, started, id)
	if err != nil {
		return err
	}
	return a.out.Print(backup, func() error {
		testRestore := backup.GetBackup().GetProof()
		_, err := fmt.Fprintf(a.out.Stdout, "Backup %s restores: %s tables with %s rows, as its manifest says, by PostgreSQL %s. The restore took %s.\n",
			output.Name(id), output.Count(int64(testRestore.GetTables())), output.Count(testRestore.GetRows()),
			output.Name(testRestore.GetServerVersion()), output.Duration(testRestore.GetRestoreTook().AsDuration()))
		if refuses := refusesText(testRestore); err == nil && refuses != "" {
			_, err = fmt.Fprintf(a.out.Stdout, "It will be refused by %s\n", refuses)
		}
		return err
	})
}

// refusesText returns which restores will refuse a backup that has passed its test restore, and why; "" if none will.
func refusesText(testRestore *pgharborv1.Proof) string {
	if testRestore.GetRefuses() == "" {
		return ""
	}
	return "a restore into a live server, without --trust-content: " + output.Line(testRestore.GetRefuses())
}

// testRestoreOf is the column of the newest test restore: how it ended, and how long ago.
func testRestoreOf(backup *pgharborv1.Backup, now time.Time) string {
	testRestore := backup.GetProof()
	switch testRestore.GetState() {
	case "":
		return "no"
	case words.Succeeded:
		return output.Age(testRestore.GetFinishedAt(), now) + " ago"
	default:
		return "FAILED"
	}
}

// testRestorePairs are the fields of the newest test restore.
func testRestorePairs(testRestore *pgharborv1.Proof, now time.Time) [][2]string {
	if testRestore == nil {
		return [][2]string{{"Proven", "no"}}
	}
	how := "in a throwaway server, PostgreSQL " + output.Name(testRestore.GetServerVersion())
	if testRestore.GetMethod() == words.TestRestoreInstance {
		how = "in a temporary database of the instance, PostgreSQL " + output.Name(testRestore.GetServerVersion())
	}
	pairs := [][2]string{
		{"Proven", output.Name(testRestore.GetState()) + ", " + output.Time(testRestore.GetFinishedAt(), now.Location()) + ", " +
			output.Age(testRestore.GetFinishedAt(), now) + " ago"},
		{"How", how},
		{"Counted", fmt.Sprintf("%s tables, %s rows", output.Count(int64(testRestore.GetTables())), output.Count(testRestore.GetRows()))},
		{"Restore took", output.Duration(testRestore.GetRestoreTook().AsDuration()) + ", and all of the test " + output.Duration(testRestore.GetTook().AsDuration())},
	}
	for _, difference := range testRestore.GetDifferences() {
		pairs = append(pairs, [2]string{"Differs", output.Line(difference)})
	}
	if refuses := refusesText(testRestore); refuses != "" {
		pairs = append(pairs, [2]string{"Refuses", refuses})
	}
	return pairs
}

// showRestoreTimes prints how long a restore of each database takes, by its newest test restore.
func showRestoreTimes(out *output.Printer, databases []*pgharborv1.DatabaseHealth) error {
	for _, database := range databases {
		if database.GetRestoreTakes() == nil {
			continue
		}
		_, err := fmt.Fprintf(out.Stdout, "%s %s: a restore of this database takes about %s; last put to the test %s ago\n",
			output.Name(database.GetInstance()), output.Name(database.GetDatabase()),
			output.Duration(database.GetRestoreTakes().AsDuration()), output.Age(database.GetProof().GetFinishedAt(), out.Now()))
		if err != nil {
			return err
		}
	}
	return nil
}
