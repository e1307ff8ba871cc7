package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func approvalsCommand(a *app) *cobra.Command {
	return noun("approvals", "What waits for a second person, because a policy says so",
		approvalsListCommand(a), approvalsShowCommand(a),
		approvalsDecideCommand(a, "approve", "Let another person's request pass, once",
			func(ctx context.Context, approvals pgharborv1.ApprovalServiceClient, id, comment string) (decision, error) {
				return approvals.Approve(ctx, &pgharborv1.ApproveRequest{Id: id, Comment: comment})
			}),
		approvalsDecideCommand(a, "deny", "Refuse another person's request, for good",
			func(ctx context.Context, approvals pgharborv1.ApprovalServiceClient, id, comment string) (decision, error) {
				return approvals.Deny(ctx, &pgharborv1.DenyRequest{Id: id, Comment: comment})
			}))
}

func approvalsListCommand(a *app) *cobra.Command {
	var request pgharborv1.ListApprovalsRequest
	cmd := a.printing(&cobra.Command{
		Use:   "list",
		Short: "List what waits: your own requests, and those that you may decide on",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			return listApprovals(ctx, a.out, conn, &request)
		}),
	})
	cmd.Flags().BoolVar(&request.All, "all", false, "also those that were used or denied, or have expired")
	return cmd
}

func listApprovals(ctx context.Context, out *output.Printer, conn *grpc.ClientConn, request *pgharborv1.ListApprovalsRequest) error {
	approvals := pgharborv1.NewApprovalServiceClient(conn)
	all := &pgharborv1.ListApprovalsResponse{}
	err := session.EachPage(func(token string) (string, error) {
		request.PageToken = token
		page, err := approvals.ListApprovals(ctx, request)
		all.Approvals = append(all.Approvals, page.GetApprovals()...)
		return page.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return out.Print(all, func() error {
		table := output.NewTable("ID", "STATE", "ACTION", "INSTANCE", "TARGET", "REQUESTED BY", "REASON", "EXPIRES", "DECIDED BY")
		for _, approval := range all.GetApprovals() {
			table.Add(output.Name(approval.GetId()), output.Name(approval.GetState()), output.Name(approval.GetAction()),
				output.Name(approval.GetInstance()), output.Name(approval.GetTarget()), output.Name(approval.GetRequestedBy()),
				output.Line(approval.GetReason()), output.Time(approval.GetExpiresAt(), out.Now().Location()), output.Name(approval.GetDecidedBy()))
		}
		return table.Write(out.Stdout, "Nothing waits for another person.")
	})
}

func approvalsShowCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:               "show ID",
		Short:             "Show all that a request says, which is all that its approval is good for",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeApproval,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewApprovalServiceClient(conn).GetApproval(ctx, &pgharborv1.GetApprovalRequest{Id: args[0]})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error { return showApproval(a.out, response.GetApproval()) })
		}),
	})
}

func showApproval(out *output.Printer, approval *pgharborv1.Approval) error {
	zone := out.Now().Location()
	fields := [][2]string{
		{"ID", output.Name(approval.GetId())},
		{"State", output.Name(approval.GetState())},
		{"Action", output.Name(approval.GetAction())},
		{"Instance", output.Name(approval.GetInstance())},
		{"From instance", output.Name(approval.GetSourceInstance())},
		{"Target", output.Name(approval.GetTarget())},
	}
	for _, detail := range approval.GetDetails() {
		fields = append(fields, [2]string{output.Name(detail.GetName()), output.Line(detail.GetValue())})
	}
	return output.Fields(out.Stdout, append(fields,
		[2]string{"Reason", output.Line(approval.GetReason())},
		[2]string{"Requested by", output.Name(approval.GetRequestedBy())},
		[2]string{"Requested at", output.Time(approval.GetCreatedAt(), zone)},
		[2]string{"Expires at", output.Time(approval.GetExpiresAt(), zone)},
		[2]string{"Decided by", output.Name(approval.GetDecidedBy())},
		[2]string{"Decided at", output.Time(approval.GetDecidedAt(), zone)},
		[2]string{"Comment", output.Line(approval.GetComment())},
		[2]string{"Used at", output.Time(approval.GetUsedAt(), zone)})...)
}

// decision is what the answers to Approve and Deny have in common.
type decision interface {
	proto.Message
	GetApproval() *pgharborv1.Approval
}

func approvalsDecideCommand(a *app, verb, short string,
	decide func(ctx context.Context, approvals pgharborv1.ApprovalServiceClient, id, comment string) (decision, error),
) *cobra.Command {
	var comment string
	cmd := a.printing(&cobra.Command{
		Use:               verb + " ID",
		Short:             short,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeApproval,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := decide(ctx, pgharborv1.NewApprovalServiceClient(conn), args[0], comment)
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error {
				approval := response.GetApproval()
				_, err := fmt.Fprintf(a.out.Stdout, "%s: %s of %s for %s.\n", output.Name(approval.GetState()), output.Name(approval.GetAction()),
					output.Name(approval.GetTarget()), output.Name(approval.GetRequestedBy()))
				return err
			})
		}),
	})
	cmd.Flags().StringVar(&comment, "comment", "", "why, for who asked and for the audit log")
	return cmd
}
