package session

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/shell"
	"github.com/pgharbor/pgharbor/internal/words"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// askAgain is how often somebody who waits looks for the decision.
const askAgain = 2 * time.Second

// approve is Approved as an interceptor, for every call that is no stream.
func (s *Session) approve(ctx context.Context, method string, request, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	return s.Approved(ctx, conn, func() error { return invoke(ctx, method, request, reply, conn, opts...) })
}

// Approved makes a request. If it needs another person's approval and WaitApproval is set, it waits for the approval
// and makes the very same request again.
func (s *Session) Approved(ctx context.Context, conn *grpc.ClientConn, request func() error) error {
	for {
		err := request()
		id := ApprovalOf(err)
		if id == "" || !s.WaitApproval {
			return err
		}
		if err := s.awaitApproval(ctx, conn, id); err != nil {
			return err
		}
	}
}

// ApprovalOf returns the id of the approval that a failed call needs, or "".
func ApprovalOf(err error) string {
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

func (s *Session) awaitApproval(ctx context.Context, conn *grpc.ClientConn, id string) error {
	s.Out.Say("%s", shell.Command("Waiting for another person: pgharbor approvals approve %s", id))
	approvals, patience := pgharborv1.NewApprovalServiceClient(conn), s.Patience(WatchPatience)
	for {
		response, err := approvals.GetApproval(ctx, &pgharborv1.GetApprovalRequest{Id: id})
		if err != nil {
			if err := patience.Wait(ctx, err); err != nil {
				return err
			}
			continue
		}
		patience.Progressed()
		approval := response.GetApproval()
		switch approval.GetState() {
		case words.ApprovalPending:
			if !s.Pause(ctx, askAgain) {
				return ctx.Err()
			}
		case words.ApprovalApproved:
			return nil
		case words.ApprovalDenied:
			return exit.Fail(exit.Denied, "%s denied it (approval %s)%s", approval.GetDecidedBy(), id, commented(approval.GetComment())).
				WithHint("pgharbor approvals show %s", id)
		default:
			return exit.Fail(exit.Failed, "approval %s is %s", id, approval.GetState()).
				WithHint("run the same command again to ask again")
		}
	}
}

func commented(comment string) string {
	if comment == "" {
		return ""
	}
	return ": " + comment
}
