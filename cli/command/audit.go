package command

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func (a *app) auditCommand() *cobra.Command {
	return a.noun("audit", "The trail: who did what, when, why and how it ended", a.auditListCommand())
}

func (a *app) auditListCommand() *cobra.Command {
	var request pgharborv1.ListAuditEntriesRequest
	cmd := a.printing(&cobra.Command{
		Use:   "list",
		Short: "List the trail's entries, the newest first",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			return a.listAudit(ctx, conn, &request)
		}),
	})
	cmd.Flags().StringVar(&request.Instance, "instance", "", "only of this instance")
	cmd.Flags().StringVar(&request.Action, "action", "", "only of this action, such as backup.download")
	a.completeInstanceFlag(cmd)
	return cmd
}

func (a *app) listAudit(ctx context.Context, conn *grpc.ClientConn, request *pgharborv1.ListAuditEntriesRequest) error {
	trail := pgharborv1.NewAuditServiceClient(conn)
	all := &pgharborv1.ListAuditEntriesResponse{}
	err := eachPage(func(token string) (string, error) {
		request.PageToken = token
		page, err := trail.ListAuditEntries(ctx, request)
		all.Entries = append(all.Entries, page.GetEntries()...)
		return page.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return a.print(all, func() error {
		table := output.NewTable(">SEQ", "AT", "ACTOR", "ACTION", "OUTCOME", "INSTANCE", "TARGET", "REASON", "DETAIL", ">ENDS")
		for _, entry := range all.GetEntries() {
			var ends string
			if entry.GetCompletes() != 0 {
				ends = strconv.FormatInt(entry.GetCompletes(), 10)
			}
			table.Add(strconv.FormatInt(entry.GetSequence(), 10), output.Time(entry.GetAt(), a.Now().Location()),
				output.Name(entry.GetActor()), output.Name(entry.GetAction()), output.Name(entry.GetOutcome()),
				output.Name(entry.GetInstance()), output.Name(entry.GetTarget()),
				output.Line(entry.GetReason()), output.Short(entry.GetDetail(), errorWidth), ends)
		}
		return table.Write(a.Stdout, "No entries.")
	})
}
