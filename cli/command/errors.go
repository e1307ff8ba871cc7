package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/shell"
)

// The exit codes, as scripts know them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDenied      = 3
	exitNotFound    = 4
	exitUnhealthy   = 5
	exitIntegrity   = 6
	exitUnreachable = 7
)

// problem is an error that knows its exit code and the next step.
type problem struct {
	code int
	// text is what failed and why; empty where the output has said it.
	text string
	hint string
	err  error
}

func (p *problem) Error() string { return p.text }
func (p *problem) Unwrap() error { return p.err }

func fail(code int, format string, args ...any) *problem {
	err := fmt.Errorf(format, args...)
	return &problem{code: code, text: err.Error(), err: errors.Unwrap(err)}
}

// withHint adds the next step, in which each argument is quoted as shell.Command does.
func (p *problem) withHint(format string, args ...any) *problem {
	p.hint = shell.Command(format, args...)
	return p
}

// report writes the error, one line and perhaps a hint, and returns its exit code.
func (a *app) report(cmd *cobra.Command, err error) int {
	p := a.explain(err)
	if p.text == "" {
		return p.code
	}
	what := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()), " ")
	if what != "" {
		what += ": "
	}
	a.say("pgharbor: %s%s", what, output.Line(p.text))
	if p.hint != "" {
		a.say("hint: %s", output.Line(p.hint))
	}
	return p.code
}

// explain is the one place where causes become exit codes, and words.
func (a *app) explain(err error) *problem {
	var known *problem
	var called interface{ GRPCStatus() *status.Status }
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, client.ErrReplyLost):
		return &problem{code: exitUnreachable, text: err.Error(), hint: "log in again with the same invite, while it holds: it leads to the same identity"}
	case errors.As(err, &called):
		return a.explainStatus(called.GRPCStatus())
	case errors.Is(err, context.Canceled):
		return &problem{code: exitFailed, text: "interrupted"}
	case errors.Is(err, client.ErrNotEnrolled):
		return &problem{code: exitDenied, text: "not logged in", hint: "ask an OWNER for an invite, then: pgharbor login INVITE"}
	case errors.Is(err, client.ErrExpired):
		return &problem{code: exitDenied, text: err.Error(), hint: "ask an OWNER for a new invite, then: pgharbor login INVITE --context NAME"}
	case errors.Is(err, client.ErrBadInvite):
		return &problem{code: exitUsage, text: err.Error(), hint: "copy the invite again, all of it"}
	default:
		return &problem{code: exitFailed, text: err.Error()}
	}
}

func (a *app) explainStatus(s *status.Status) *problem {
	p := &problem{code: exitCodeOf(s.Code()), text: s.Message(), hint: hintOf(s)}
	switch {
	case s.Code() == codes.Canceled && s.Message() == context.Canceled.Error():
		p.text = "interrupted"
	case s.Code() == codes.DeadlineExceeded && p.hint == "":
		p.text = fmt.Sprintf("%s gave no answer in time", a.controlPlane())
		p.hint = "allow it more time with --timeout"
	case s.Code() == codes.Unimplemented:
		p.text = fmt.Sprintf("%s does not know this call", a.controlPlane())
		p.hint = "it may be older than this pgharbor: compare pgharbor-controlplane --version"
	case s.Code() == codes.Unauthenticated && p.hint == "":
		p.hint = "ask an OWNER for a new invite, then: pgharbor login INVITE --context NAME"
	case s.Code() == codes.Unavailable && p.hint == "":
		p.text, p.hint = a.explainTransport(s.Message())
	}
	return p
}

func exitCodeOf(code codes.Code) int {
	switch code {
	case codes.InvalidArgument:
		return exitUsage
	case codes.PermissionDenied, codes.Unauthenticated:
		return exitDenied
	case codes.NotFound:
		return exitNotFound
	case codes.DataLoss:
		return exitIntegrity
	case codes.Unavailable, codes.DeadlineExceeded:
		return exitUnreachable
	default:
		return exitFailed
	}
}

func hintOf(s *status.Status) string {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()["hint"]
		}
	}
	return ""
}

// gRPC wraps what the network said: connection error: desc = "transport: … : cause".
var transportText = regexp.MustCompile(`desc = "(?:transport: )?(?:Error while dialing: |authentication handshake failed: )?(.*)"$`)

func (a *app) explainTransport(text string) (explained, hint string) {
	if inner := transportText.FindStringSubmatch(text); inner != nil {
		text = inner[1]
	}
	return fmt.Sprintf("%s can't be reached: %s", a.controlPlane(), text),
		"check that pgharbor-controlplane serves there, and that this machine can reach it"
}

func (a *app) controlPlane() string {
	if a.address == "" {
		return "the control plane"
	}
	return "the control plane at " + a.address
}
