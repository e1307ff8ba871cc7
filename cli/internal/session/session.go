// Package session is how a command speaks with a control plane: as whom, for how long it waits, and
// what it does if an approval is missing or a stream was cut.
package session

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// Session is the conversation of one command line with its control plane.
type Session struct {
	// Timeout bounds every call that is no stream.
	Timeout time.Duration
	// WaitApproval makes a request that takes another person's approval wait for it.
	WaitApproval bool
	Out          *output.Printer
	// Pause waits, and returns whether the context lasted that long.
	Pause func(context.Context, time.Duration) bool

	address string // of the control plane, once it is known, for the texts of errors
}

// Dial connects as an identity, and renews its certificate if it is due.
func (s *Session) Dial(ctx context.Context, identity *client.Identity) (*grpc.ClientConn, error) {
	s.address = identity.Address()
	conn, err := identity.Dial(grpc.WithChainUnaryInterceptor(s.approve, s.limit))
	if err != nil {
		return nil, err
	}
	// The old certificate still holds, so this is no reason to fail; if nobody answers, the command
	// itself says so.
	if _, err := identity.RenewIfDue(ctx, conn, s.Out.Now()); err != nil {
		if p := s.Explain(err); p.Code != exit.Unreachable {
			s.Out.Say("pgharbor: warning: the certificate, which ends %s, is not renewed: %s",
				identity.NotAfter().In(s.Out.Now().Location()).Format(time.RFC3339), output.Line(p.Text))
		}
	}
	return conn, nil
}

func (s *Session) limit(ctx context.Context, method string, request, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	return invoke(ctx, method, request, reply, conn, opts...)
}
