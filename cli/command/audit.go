package command

import (
	"context"
	"math"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func auditCommand(a *app) *cobra.Command {
	return noun("audit", "The audit log: who did what, when, why and how it ended",
		auditListCommand(a), auditVerifyCommand(a), auditExportCommand(a))
}

func auditListCommand(a *app) *cobra.Command {
	var request pgharborv1.ListAuditEntriesRequest
	from, until := since{now: a.out.Now}, since{now: a.out.Now}
	var limit uint
	cmd := a.printing(&cobra.Command{
		Use:   "list",
		Short: "List the audit log's entries, the newest first",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			request.Since, request.Until = from.at, until.at
			return listAudit(ctx, a.out, conn, &request, int(min(limit, math.MaxInt32)))
		}),
	})
	flags := cmd.Flags()
	flags.StringVar(&request.Instance, "instance", "", "only of this instance, or of those that a glob such as 'shop-*' matches")
	flags.StringVar(&request.Action, "action", "", "only of this action, such as backup.download")
	flags.StringVar(&request.Actor, "actor", "", "only by this person or agent: user:ada, or ada; host and invite are actors too")
	flags.StringVar(&request.Target, "target", "", "only what was done to this: the id of a backup, or a person or an agent, as for --actor")
	flags.StringVar(&request.Outcome, "outcome", "", "only with this outcome: started, ongoing, succeeded, failed or denied")
	flags.Var(&from, "since", "only since then: an age such as 7d or 36h, or a date")
	flags.Var(&until, "until", "only before then: an age such as 7d or 36h, or a date")
	flags.UintVar(&limit, "limit", 0, "only so many, the newest (default: all)")
	a.completeInstanceFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("outcome", cobra.FixedCompletions(
		[]string{chain.OutcomeStarted, chain.OutcomeOngoing, chain.OutcomeSucceeded, chain.OutcomeFailed, chain.OutcomeDenied}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func listAudit(ctx context.Context, out *output.Printer, conn *grpc.ClientConn, request *pgharborv1.ListAuditEntriesRequest, limit int) error {
	service := pgharborv1.NewAuditServiceClient(conn)
	all := &pgharborv1.ListAuditEntriesResponse{}
	if limit > 0 {
		request.PageSize = int32(min(limit, 1000))
	}
	err := session.EachPage(func(token string) (string, error) {
		request.PageToken = token
		page, err := service.ListAuditEntries(ctx, request)
		all.Entries = append(all.Entries, page.GetEntries()...)
		if limit > 0 && len(all.Entries) >= limit {
			all.Entries = all.Entries[:limit]
			return "", err
		}
		return page.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return out.Print(all, func() error { return showAudit(out, all.GetEntries()) })
}

func showAudit(out *output.Printer, entries []*pgharborv1.AuditEntry) error {
	table := output.NewTable(">SEQ", "AT", "ACTOR", "ACTION", "OUTCOME", "INSTANCE", "TARGET", "REASON", "DETAIL", ">ENDS")
	for _, entry := range entries {
		var ends string
		if entry.GetCompletes() != 0 {
			ends = strconv.FormatInt(entry.GetCompletes(), 10)
		}
		table.Add(strconv.FormatInt(entry.GetSequence(), 10), output.Time(entry.GetAt(), out.Now().Location()),
			output.Name(entry.GetActor()), output.Name(entry.GetAction()), output.Name(entry.GetOutcome()),
			output.Name(entry.GetInstance()), output.Name(entry.GetTarget()),
			output.Line(entry.GetReason()), output.Short(entry.GetDetail(), errorWidth), ends)
	}
	return table.Write(out.Stdout, "No entries.")
}
