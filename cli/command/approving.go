package command

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/shell"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// askAgain is how often somebody who waits looks for the decision.
const askAgain = 2 * time.Second

// approvable gives a command the flag --wait-approval.
func (a *app) approvable(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.waitApproval, "wait-approval", false, "where this takes another person's approval, wait for it and go on")
}

// approveUnary is approved for every call that is no stream.
func (a *app) approveUnary(ctx context.Context, method string, request, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	return a.approved(ctx, conn, func() error { return invoke(ctx, method, request, reply, conn, opts...) })
}

// approved makes a request. Where that waits for another person's approval, and
// whoever asks wants to wait too, it makes the very same request once more when
// the approval is there.
func (a *app) approved(ctx context.Context, conn *grpc.ClientConn, request func() error) error {
	for {
		err := request()
		id := approvalOf(err)
		if id == "" || !a.waitApproval {
			return err
		}
		if err := a.awaitApproval(ctx, conn, id); err != nil {
			return err
		}
	}
}

// approvalOf is the id of the approval that a failed call waits for, or empty.
func approvalOf(err error) string {
	var called interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &called) {
		return ""
	}
	for _, detail := range called.GRPCStatus().Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()["approval"]
		}
	}
	return ""
}

func (a *app) awaitApproval(ctx context.Context, conn *grpc.ClientConn, id string) error {
	a.say("%s", shell.Command("Waiting for another person: pgharbor approvals approve %s", id))
	approvals, patience := pgharborv1.NewApprovalServiceClient(conn), a.newPatience(watchPatience)
	for {
		response, err := approvals.GetApproval(ctx, &pgharborv1.GetApprovalRequest{Id: id})
		if err != nil {
			if err := patience.wait(ctx, err); err != nil {
				return err
			}
			continue
		}
		patience.progressed()
		approval := response.GetApproval()
		switch approval.GetState() {
		case "pending":
			if err := a.pause(ctx, askAgain); err != nil {
				return err
			}
		case "approved":
			return nil
		case "denied":
			return exit.Fail(exit.Denied, "%s denied it (approval %s)%s", approval.GetDecidedBy(), id, commented(approval.GetComment())).
				WithHint("pgharbor approvals show %s", id)
		default:
			return exit.Fail(exit.Failed, "approval %s is %s", id, approval.GetState()).
				WithHint("run the same command again to ask anew")
		}
	}
}

func commented(comment string) string {
	if comment == "" {
		return ""
	}
	return ": " + comment
}
