package session

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// Explain turns any error into a text, a hint and an exit code. It is the one place that does.
func (s *Session) Explain(err error) *exit.Problem {
	var known *exit.Problem
	var called interface{ GRPCStatus() *status.Status }
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, client.ErrReplyLost):
		return &exit.Problem{Code: exit.Unreachable, Text: err.Error(), Hint: "log in again with the same invite, while it holds: it leads to the same identity"}
	case errors.As(err, &called):
		return s.explainStatus(called.GRPCStatus())
	case errors.Is(err, context.Canceled):
		return &exit.Problem{Code: exit.Failed, Text: "interrupted"}
	case errors.Is(err, client.ErrNotEnrolled):
		return &exit.Problem{Code: exit.Denied, Text: "not logged in", Hint: "ask an OWNER for an invite, then: pgharbor login INVITE"}
	case errors.Is(err, client.ErrExpired):
		return &exit.Problem{Code: exit.Denied, Text: err.Error(), Hint: "ask an OWNER for a new invite, then: pgharbor login INVITE --context NAME"}
	case errors.Is(err, client.ErrBadInvite):
		return &exit.Problem{Code: exit.Usage, Text: err.Error(), Hint: "copy the invite again, all of it"}
	default:
		return &exit.Problem{Code: exit.Failed, Text: err.Error()}
	}
}

func (s *Session) explainStatus(said *status.Status) *exit.Problem {
	p := &exit.Problem{Code: exitCodeOf(said.Code()), Text: said.Message(), Hint: hintOf(said)}
	switch {
	case said.Code() == codes.Canceled && said.Message() == context.Canceled.Error():
		p.Text = "interrupted"
	case said.Code() == codes.DeadlineExceeded && p.Hint == "":
		p.Text = fmt.Sprintf("%s gave no answer in time", s.ControlPlane())
		p.Hint = "allow it more time with --timeout"
	case said.Code() == codes.Unimplemented:
		p.Text = fmt.Sprintf("%s does not know this call", s.ControlPlane())
		p.Hint = "it may be older than this pgharbor: compare pgharbor-controlplane --version"
	case said.Code() == codes.Unauthenticated && p.Hint == "":
		p.Hint = "ask an OWNER for a new invite, then: pgharbor login INVITE --context NAME"
	case said.Code() == codes.Unavailable && p.Hint == "":
		p.Text, p.Hint = s.explainTransport(said.Message())
	}
	return p
}

func exitCodeOf(code codes.Code) int {
	switch code {
	case codes.InvalidArgument:
		return exit.Usage
	case codes.PermissionDenied, codes.Unauthenticated:
		return exit.Denied
	case codes.NotFound:
		return exit.NotFound
	case codes.DataLoss:
		return exit.Integrity
	case codes.Unavailable, codes.DeadlineExceeded:
		return exit.Unreachable
	default:
		return exit.Failed
	}
}

func hintOf(said *status.Status) string {
	for _, detail := range said.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()["hint"]
		}
	}
	return ""
}

// gRPC wraps what the network said: connection error: desc = "transport: … : cause".
var transportText = regexp.MustCompile(`desc = "(?:transport: )?(?:Error while dialing: |authentication handshake failed: )?(.*)"$`)

func (s *Session) explainTransport(text string) (explained, hint string) {
	if inner := transportText.FindStringSubmatch(text); inner != nil {
		text = inner[1]
	}
	return fmt.Sprintf("%s can't be reached: %s", s.ControlPlane(), text),
		"check that pgharbor-controlplane serves there, and that this machine can reach it"
}

// ControlPlane names the control plane in an error.
func (s *Session) ControlPlane() string {
	if s.address == "" {
		return "the control plane"
	}
	return "the control plane at " + s.address
}
