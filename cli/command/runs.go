package command

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What failed is shown this far in a table; -o json has all of them.
const errorWidth = 120

func (a *app) runsCommand() *cobra.Command {
	var request pgharborv1.ListRunsRequest
	cmd := a.printing(&cobra.Command{
		Use:   "runs",
		Short: "List the attempts to back up, good and bad, the newest first",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			return a.listRuns(ctx, conn, &request)
		}),
	})
	flags := cmd.Flags()
	flags.StringVar(&request.Instance, "instance", "", "only of this instance")
	flags.StringVar(&request.Database, "database", "", "only of this database")
	flags.BoolVar(&request.FailedOnly, "failed", false, "only those that failed")
	a.completeInstanceFlag(cmd)
	return cmd
}

func (a *app) listRuns(ctx context.Context, conn *grpc.ClientConn, request *pgharborv1.ListRunsRequest) error {
	runs := pgharborv1.NewRunServiceClient(conn)
	all := &pgharborv1.ListRunsResponse{}
	err := eachPage(func(token string) (string, error) {
		request.PageToken = token
		page, err := runs.ListRuns(ctx, request)
		all.Runs = append(all.Runs, page.GetRuns()...)
		return page.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return a.print(all, func() error {
		if err := a.runTable(all.GetRuns()).Write(a.Stdout, "No runs."); err != nil {
			return err
		}
		for _, run := range all.GetRuns() {
			if words := inFull(run.GetInstance(), run.GetId(), slices.Concat(run.GetWarnings(), []string{run.GetError()})...); words != "" {
				a.say("%s", words) // of the newest, as an example
				break
			}
		}
		return nil
	})
}

func (a *app) runTable(runs []*pgharborv1.Run) *output.Table {
	table := output.NewTable("ID", "INSTANCE", "DATABASE", "STATE", "TRIGGER", "STARTED", ">TOOK", ">SIZE", "BACKUP", "WHY")
	for _, run := range runs {
		var took, size string
		if run.GetStartedAt() != nil && run.GetFinishedAt() != nil {
			took = output.Duration(run.GetFinishedAt().AsTime().Sub(run.GetStartedAt().AsTime()))
		}
		if run.GetBackupId() != "" {
			size = output.Bytes(run.GetSizeBytes())
		}
		table.Add(
			output.Name(run.GetId()), output.Name(run.GetInstance()), output.Name(run.GetDatabase()),
			stateOf(run), output.Name(run.GetTrigger()),
			output.Time(run.GetStartedAt(), a.Now().Location()), took, size,
			output.Name(run.GetBackupId()), output.Short(whyOf(run), errorWidth),
		)
	}
	return table
}

// ended is how a run or a restore has ended.
type ended interface {
	GetState() string
	GetError() string
	GetWarnings() []string
}

// stateOf tells what was warned of from what is clean.
func stateOf(run ended) string {
	if run.GetState() == "succeeded" && len(run.GetWarnings()) > 0 {
		return "degraded"
	}
	return output.Name(run.GetState())
}

func whyOf(run ended) string {
	if run.GetError() == "" && len(run.GetWarnings()) > 0 {
		return run.GetWarnings()[0]
	}
	return run.GetError()
}
