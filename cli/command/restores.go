package command

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func restoresCommand(a *app) *cobra.Command {
	var request pgharborv1.ListRestoresRequest
	cmd := a.printing(&cobra.Command{
		Use:   "restores",
		Short: "List the restores so far, the newest first",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			return listRestores(ctx, a.out, conn, &request)
		}),
	})
	cmd.Flags().StringVar(&request.Instance, "instance", "", "only of this instance, or of those that a glob such as 'shop-*' matches")
	a.completeInstanceFlag(cmd)
	return cmd
}

func listRestores(ctx context.Context, out *output.Printer, conn *grpc.ClientConn, request *pgharborv1.ListRestoresRequest) error {
	restores := pgharborv1.NewRestoreServiceClient(conn)
	all := &pgharborv1.ListRestoresResponse{}
	err := session.EachPage(func(token string) (string, error) {
		request.PageToken = token
		page, err := restores.ListRestores(ctx, request)
		all.Restores = append(all.Restores, page.GetRestores()...)
		return page.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return out.Print(all, func() error {
		table := output.NewTable("ID", "INSTANCE", "DATABASE", "INTO", "STATE", "BACKUP", "BY", "STARTED", "KEPT", "REASON", "WHY")
		for _, restore := range all.GetRestores() {
			table.Add(
				output.Name(restore.GetId()), output.Name(cmp.Or(restore.GetTargetInstance(), restore.GetInstance())), output.Name(restore.GetDatabase()),
				output.Name(restore.GetTargetDatabase()), stateOf(restore), output.Name(restore.GetBackupId()),
				output.Name(restore.GetRequestedBy()), output.Time(restore.GetCreatedAt(), out.Now().Location()),
				displacedText(restore, out.Now()), output.Line(restore.GetReason()), output.Short(whyOf(restore), errorWidth),
			)
		}
		if err := table.Write(out.Stdout, "No restores."); err != nil {
			return err
		}
		sayNextStep(out, all.GetRestores())
		return nil
	})
}

// sayNextStep prints what to do about the newest restore that failed.
func sayNextStep(out *output.Printer, restores []*pgharborv1.Restore) {
	for _, restore := range restores {
		if restore.GetError() == "" {
			continue
		}
		instance := cmp.Or(restore.GetTargetInstance(), restore.GetInstance())
		if step := nextStep("restore", restore.GetFailure(), restore.GetError(), instance, restore.GetId()); step != "" {
			out.Say("%s: %s", output.Name(restore.GetId()), step)
		}
		return
	}
}
