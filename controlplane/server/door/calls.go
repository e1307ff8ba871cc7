package door

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Tap bounds the rate of calls, and how many of a person are under way, before a
// call's message is read.
func (d *Door) Tap(ctx context.Context, call *tap.Info) (context.Context, error) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return ctx, nil
	}
	who, kind := whoIs(from.AuthInfo, from.Addr)
	if !d.rates.allow(who, kind) {
		return ctx, d.refuse("calls", "too many calls of "+who+": wait a moment, and ask less often")
	}
	if kind != pki.KindUser {
		return ctx, nil // an agent has one session, and its transfers are asked for
	}
	return ctx, d.begin(ctx, who, call.FullMethodName)
}

// begin notes that a call of a person is under way until its context ends.
func (d *Door) begin(ctx context.Context, who, method string) error {
	leave, err := d.underWay.enter(who)
	if err != nil {
		return d.refuse("calls under way", "too many calls of "+who+" are under way: wait until some of them have ended")
	}
	if method == pgharborv1.HealthService_WatchHealth_FullMethodName {
		unwatch, err := d.watches.enter(who)
		if err != nil {
			leave()
			return d.refuse("calls under way", who+" watches the health of the fleet often enough at once: end another watch first")
		}
		context.AfterFunc(ctx, unwatch)
	}
	context.AfterFunc(ctx, leave)
	return nil
}

func (d *Door) refuse(of, why string) error {
	d.refused.WithLabelValues(of).Inc()
	return status.Error(codes.ResourceExhausted, why)
}
