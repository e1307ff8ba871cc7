package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func (a *app) healthCommand() *cobra.Command {
	var request pgharborv1.GetHealthRequest
	var exitCode bool
	cmd := a.printing(&cobra.Command{
		Use:   "health",
		Short: "Say of each database whether its backups can be relied on, the worst first",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			response, err := pgharborv1.NewHealthServiceClient(conn).GetHealth(ctx, &request)
			if err != nil {
				return err
			}
			if err := a.print(response, func() error { return a.showHealth(response) }); err != nil {
				return err
			}
			if exitCode && !response.GetHealthy() {
				return &problem{code: exitUnhealthy}
			}
			return nil
		}),
	})
	cmd.Flags().StringVar(&request.Instance, "instance", "", "only of this instance")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 5 where something is unhealthy")
	a.completeInstanceFlag(cmd)
	return cmd
}

func (a *app) showHealth(health *pgharborv1.GetHealthResponse) error {
	now := a.Now()
	table := output.NewTable("VERDICT", "INSTANCE", "DATABASE", ">NEWEST", ">SIZE", "LAST RUN", "WHY", "NEXT STEP")
	for _, database := range health.GetDatabases() {
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
			newest, size, output.Name(database.GetNewestRunState()),
			output.Short(strings.Join(why, "; "), errorWidth), output.Line(strings.Join(next, "; ")))
	}
	if err := table.Write(a.Stdout, "Nothing is known of any database yet."); err != nil {
		return err
	}
	for _, database := range health.GetDatabases() {
		for _, warning := range database.GetWarnings() {
			_, err := fmt.Fprintf(a.Stdout, "warning: %s %s: %s\n", output.Name(database.GetInstance()),
				output.Name(database.GetDatabase()), output.Line(warning))
			if err != nil {
				return err
			}
		}
	}
	return nil
}
