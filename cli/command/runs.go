package command

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	"github.com/pgharbor/pgharbor/internal/words"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What failed is shown this far in a table; -o json has all of them.
const errorWidth = 120

func runsCommand(a *app) *cobra.Command {
	var request pgharborv1.ListRunsRequest
	cmd := a.printing(&cobra.Command{
		Use:   "runs",
		Short: "List the attempts to back up, good and bad, the newest first",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			return listRuns(ctx, a.out, conn, &request)
		}),
	})
	flags := cmd.Flags()
	flags.StringVar(&request.Instance, "instance", "", "only of this instance, or of those that a glob such as 'shop-*' matches")
	flags.StringVar(&request.Database, "database", "", "only of this database")
	flags.BoolVar(&request.FailedOnly, "failed", false, "only those that failed")
	a.completeInstanceFlag(cmd)
	return cmd
}

func listRuns(ctx context.Context, out *output.Printer, conn *grpc.ClientConn, request *pgharborv1.ListRunsRequest) error {
	runs := pgharborv1.NewRunServiceClient(conn)
	all := &pgharborv1.ListRunsResponse{}
	err := session.EachPage(func(token string) (string, error) {
		request.PageToken = token
		page, err := runs.ListRuns(ctx, request)
		all.Runs = append(all.Runs, page.GetRuns()...)
		return page.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return out.Print(all, func() error {
		if err := runTable(all.GetRuns(), out.Now()).Write(out.Stdout, "No runs."); err != nil {
			return err
		}
		for _, run := range all.GetRuns() {
			if words := inFull(run.GetInstance(), run.GetId(), slices.Concat(run.GetWarnings(), []string{run.GetError()})...); words != "" {
				out.Say("%s", words) // of the newest, as an example
				break
			}
		}
		return nil
	})
}

func runTable(runs []*pgharborv1.Run, now time.Time) *output.Table {
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
			output.Time(run.GetStartedAt(), now.Location()), took, size,
			output.Name(run.GetBackupId()), output.Short(whyOf(run), errorWidth),
		)
	}
	return table
}

// ended is what runs and restores have in common.
type ended interface {
	GetState() string
	GetError() string
	GetWarnings() []string
}

// stateOf returns the state to show: a run that succeeded with warnings is degraded.
func stateOf(run ended) string {
	if run.GetState() == words.Succeeded && len(run.GetWarnings()) > 0 {
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
