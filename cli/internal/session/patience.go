package session

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// WatchPatience is how long anyone who watches a job goes on without the control plane.
	WatchPatience = time.Minute
	// DownloadPatience is longer: a download waits for the agent to come back too, which takes up to a minute.
	DownloadPatience = 2 * time.Minute

	firstDelay = 250 * time.Millisecond
	// LongestDelay is the longest time between two attempts, but for the jitter.
	LongestDelay = 5 * time.Second
)

// Patience waits between attempts, ever longer, and ends when none of them got anywhere for a while.
type Patience struct {
	limit time.Duration
	now   func() time.Time
	pause func(context.Context, time.Duration) bool

	failures int
	since    time.Time
}

// Patience returns one that ends after this long without progress.
func (s *Session) Patience(limit time.Duration) *Patience {
	return &Patience{limit: limit, now: s.Out.Now, pause: s.Pause}
}

// Progressed starts the time over.
func (p *Patience) Progressed() { p.failures = 0 }

// Wait pauses and returns nil if another attempt is worth it, and returns cause if not.
func (p *Patience) Wait(ctx context.Context, cause error) error {
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
	delay := min(firstDelay<<min(p.failures, 10), LongestDelay)
	p.failures++
	if !p.pause(ctx, delay/2+rand.N(delay)) { //nolint:gosec // jitter, so that many do not come back at once
		return ctx.Err()
	}
	return nil
}

// transient returns whether the same call may succeed a little later. CANCELED is the end of somebody else: this
// command ends by its own context.
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
