package admission

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Tap bounds the rate of calls, and how many of an agent or a person are under way,
// before a call's message is read.
func (d *Controller) Tap(ctx context.Context, call *tap.Info) (context.Context, error) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return ctx, nil
	}
	who, kind := whoIs(from.AuthInfo, from.Addr)
	if !d.rates.allow(who, kind) {
		return ctx, d.refuse("calls", "too many calls of "+who+": wait a moment, and ask less often")
	}
	if kind == "" {
		return ctx, nil // an anonymous connection may send only little anyway
	}
	return ctx, d.begin(ctx, who, call.FullMethodName)
}

// begin records that a call is under way until its context ends.
func (d *Controller) begin(ctx context.Context, who, method string) error {
	release, err := d.underWay.acquire(who)
	if err != nil {
		return d.refuse("calls under way", "too many calls of "+who+" are under way: wait until some of them have ended")
	}
	var few *limiter
	var why string
	switch method {
	case pgharborv1.HealthService_WatchHealth_FullMethodName:
		few, why = d.watches, " watches the health of the fleet often enough at once: end another watch first"
	case pgharborv1.SessionService_Connect_FullMethodName:
		few, why = d.sessions, " has sessions enough at once: wait until one of them has ended"
	default:
		context.AfterFunc(ctx, release)
		return nil
	}
	releaseFew, err := few.acquire(who)
	if err != nil {
		release()
		return d.refuse("calls under way", who+why)
	}
	context.AfterFunc(ctx, func() { releaseFew(); release() })
	return nil
}

func (d *Controller) refuse(of, why string) error {
	d.refused.WithLabelValues(of).Inc()
	return status.Error(codes.ResourceExhausted, why)
}
