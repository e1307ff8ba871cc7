package command

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// How long whoever watches a job goes on without the control plane.
	watchPatience = time.Minute
	// A download waits for the agent to come back too, which takes up to a minute.
	downloadPatience = 2 * time.Minute

	firstDelay   = 250 * time.Millisecond
	longestDelay = 5 * time.Second
)

// patience waits between attempts, ever longer, and ends when none of them got
// anywhere for a while.
type patience struct {
	limit time.Duration
	now   func() time.Time
	pause func(context.Context, time.Duration) error

	failures int
	since    time.Time
}

func (a *app) newPatience(limit time.Duration) *patience {
	return &patience{limit: limit, now: a.Now, pause: a.pause}
}

// progressed starts the time anew.
func (p *patience) progressed() { p.failures = 0 }

// wait returns nil when it is time for another attempt, and cause when it is not
// worth one.
func (p *patience) wait(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !transient(cause) {
		return cause
	}
	if p.failures == 0 {
		p.since = p.now()
	} else if p.now().Sub(p.since) >= p.limit {
		return cause
	}
	delay := min(firstDelay<<min(p.failures, 10), longestDelay)
	p.failures++
	return p.pause(ctx, delay/2+rand.N(delay)) //nolint:gosec // jitter, so that many do not come back at once
}

// transient says whether the same call may go well a little later. CANCELED is
// somebody else's: that of this command ends its context.
func transient(err error) bool {
	called, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch called.Code() {
	case codes.Unavailable, codes.Aborted, codes.Canceled, codes.DeadlineExceeded,
		codes.ResourceExhausted, codes.Internal, codes.Unknown:
		return true
	default:
		return false
	}
}
