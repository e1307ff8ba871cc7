package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func healthCommand(a *app) *cobra.Command {
	var request pgharborv1.GetHealthRequest
	var exitCode, watch bool
	cmd := a.printing(&cobra.Command{
		Use:   "health",
		Short: "Say of each database whether its backups can be relied on, the worst first",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			if watch {
				return watchHealth(ctx, a, conn, &request)
			}
			response, err := pgharborv1.NewHealthServiceClient(conn).GetHealth(ctx, &request)
			if err != nil {
				return err
			}
			if err := a.out.Print(response, func() error { return showHealth(a.out, response, len(request.GetVerdicts()) == 0) }); err != nil {
				return err
			}
			if exitCode && !response.GetHealthy() {
				return &exit.Problem{Code: exit.Unhealthy}
			}
			return nil
		}),
	})
	flags := cmd.Flags()
	flags.StringVar(&request.Instance, "instance", "", "only of this instance, or of those that a glob such as 'shop-*' matches")
	flags.StringVar(&request.Database, "database", "", "only of this database")
	flags.StringSliceVar(&request.Verdicts, "verdict", nil, "only with this verdict, such as STALE; may be given more than once")
	flags.BoolVar(&exitCode, "exit-code", false, "exit with 5 if something is unhealthy")
	flags.BoolVar(&watch, "watch", false, "stay, and show it again whenever a verdict changes")
	cmd.MarkFlagsMutuallyExclusive("watch", "exit-code")
	a.completeInstanceFlag(cmd)
	return cmd
}

// watchHealth prints each report until the person interrupts it. A broken stream is opened again, and starts with the
// current report.
func watchHealth(ctx context.Context, a *app, conn *grpc.ClientConn, request *pgharborv1.GetHealthRequest) error {
	patience := a.session.Patience(session.WatchPatience)
	for {
		stream, err := pgharborv1.NewHealthServiceClient(conn).WatchHealth(ctx, &pgharborv1.WatchHealthRequest{
			Instance: request.GetInstance(), Database: request.GetDatabase(), Verdicts: request.GetVerdicts(),
		})
		for err == nil {
			var response *pgharborv1.WatchHealthResponse
			if response, err = stream.Recv(); err != nil {
				break
			}
			patience.Progressed()
			health := response.GetHealth()
			if err := a.out.Print(health, func() error {
				if _, err := fmt.Fprintf(a.out.Stdout, "\n%s\n", output.Time(health.GetCheckedAt(), a.out.Now().Location())); err != nil {
					return err
				}
				return showHealth(a.out, health, len(request.GetVerdicts()) == 0)
			}); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return nil // to leave is how a watch ends
		}
		if err := patience.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// shownOK is up to how many databases those that are OK have rows. Of a larger fleet they are a count.
const shownOK = 20

// showHealth prints a row a database. If fold is set, a large fleet's databases that are OK are counted alone.
func showHealth(out *output.Printer, health *pgharborv1.GetHealthResponse, fold bool) error {
	fold = fold && len(health.GetDatabases()) > shownOK
	folded := 0
	now := out.Now()
	table := output.NewTable("VERDICT", "INSTANCE", "DATABASE", ">NEWEST", ">SIZE", "SIZES", "LAST RUN", "WHY", "NEXT STEP")
	for _, database := range health.GetDatabases() {
		if fold && database.GetVerdict() == "OK" {
			folded++
			continue
		}
		var why, next []string
		for _, reason := range database.GetReasons() {
			why = append(why, reason.GetText())
			if step := reason.GetNextStep(); step != "" {
				next = append(next, step)
			}
		}
		newest, size := "none", ""
		if at := database.GetNewestBackupAt(); at != nil {
			newest, size = output.Age(at, now)+" ago", output.Bytes(database.GetNewestBackupSizeBytes())
		}
		table.Add(output.Name(database.GetVerdict()), output.Name(database.GetInstance()), output.Name(database.GetDatabase()),
			newest, size, output.Spark(database.GetRecentSizesBytes()), output.Name(database.GetNewestRunState()),
			output.Short(strings.Join(why, "; "), errorWidth), output.Line(strings.Join(next, "; ")))
	}
	if _, err := fmt.Fprintln(out.Stdout, glance(health.GetDatabases())); err != nil {
		return err
	}
	empty := "Nothing is known of any database yet."
	if folded > 0 {
		empty = "All of them are OK."
	}
	if err := table.Write(out.Stdout, empty); err != nil {
		return err
	}
	if folded > 0 {
		out.Say("%d databases are OK; a row for each: pgharbor health --verdict OK", folded)
	}
	if err := showRestoreTimes(out, health.GetDatabases()); err != nil {
		return err
	}
	return showWarnings(out, health.GetDatabases())
}

// showWarnings prints each warning of an agent once, instead of once a database.
func showWarnings(out *output.Printer, databases []*pgharborv1.DatabaseHealth) error {
	said := map[string]bool{}
	for _, database := range databases {
		for _, warning := range database.GetWarnings() {
			line := fmt.Sprintf("warning: %s: %s", output.Name(database.GetInstance()), output.Line(warning))
			if said[line] {
				continue
			}
			said[line] = true
			if _, err := fmt.Fprintln(out.Stdout, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// glance sums up the fleet in a line: the number of databases, and how many have which verdict, the worst first.
func glance(databases []*pgharborv1.DatabaseHealth) string {
	counts := map[string]int{}
	var verdicts []string
	for _, database := range databases {
		verdict := output.Name(database.GetVerdict())
		if counts[verdict]++; counts[verdict] == 1 {
			verdicts = append(verdicts, verdict)
		}
	}
	var parts []string
	for _, verdict := range verdicts {
		parts = append(parts, fmt.Sprintf("%d %s", counts[verdict], verdict))
	}
	return strings.Join(append([]string{fmt.Sprintf("databases: %d", len(databases))}, parts...), ", ")
}
