package guard

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
)

// Stream does the same for streams, and again whenever the caller's
// rights have changed: a stream that its caller may no longer open ends, even while
// it waits.
func (g *Guard) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, caller, err := g.authorize(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	scoped := newScopedStream(ctx, g, stream, info.FullMethod, caller)

	changed, leave := g.Notifications.Listen(session.CallerChannel(caller.String()))
	defer leave()
	again := func() error {
		_, caller, err := g.authorize(stream.Context(), info.FullMethod)
		if err == nil {
			err = scoped.changed(caller)
		}
		return err
	}
	// Rights that changed after authorize and before Listen.
	if err := again(); err != nil {
		return err
	}
	// A Send to a slow reader does not see the context. Returning ends the
	// stream and with it the Send, so the handler is not waited for here.
	done := make(chan error, 1)
	g.handlers.Go(func() { done <- handler(server, scoped) })
	for {
		select {
		case err := <-done:
			return err
		case <-changed:
			if err := again(); err != nil {
				cancel(err)
				return err
			}
		}
	}
}

// scopedStream admits the request of a stream when it arrives, and again
// whenever its caller has changed.
type scopedStream struct {
	grpc.ServerStream
	guard  *Guard
	ctx    context.Context //nolint:containedctx // a stream is its context
	method string

	// limited reports that the handler of a list has looked at the scope; nil if the stream is
	// none.
	limited *atomic.Bool

	mu        sync.Mutex
	caller    fleet.Caller
	instances []string
	arrived   bool
}

func newScopedStream(ctx context.Context, g *Guard, stream grpc.ServerStream, method string, caller fleet.Caller) *scopedStream {
	s := &scopedStream{ServerStream: stream, guard: g, ctx: ctx, method: method, caller: caller}
	if rule, _ := access.RuleFor(method); rule.Scoping.Kind == access.ByFilter {
		s.limited = &atomic.Bool{}
		s.ctx = context.WithValue(ctx, listKey{}, s.limited)
	}
	return s
}

// SendMsg implements grpc.ServerStream.
func (s *scopedStream) SendMsg(message any) error {
	if s.limited != nil && !s.limited.Load() {
		return fmt.Errorf("%s lists without a look at the scope of its caller", s.method)
	}
	return s.ServerStream.SendMsg(message)
}

// Context implements grpc.ServerStream.
func (s *scopedStream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *scopedStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arrived { // of an agent's stream only the first message could say more, and its certificate says it
		return nil
	}
	if err := checkBounds(s.method, message); err != nil {
		return err
	}
	instances, err := s.guard.admit(s.ctx, s.method, s.caller, message)
	s.arrived, s.instances = true, instances
	return err
}

// changed reports whether the stream may go on under the rights of this moment.
func (s *scopedStream) changed(caller fleet.Caller) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.caller
	s.caller = caller
	if s.limited != nil && !slices.Equal(before.Instances, caller.Instances) {
		return fleet.NewProblem(fleet.ErrUnreachable, "what %s may see has changed; ask again", caller)
	}
	if !s.arrived {
		return nil
	}
	return s.guard.denyOutside(s.ctx, s.method, caller, s.instances)
}
