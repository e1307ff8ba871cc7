// Package pause waits in a way that the end of a context interrupts.
package pause

import (
	"context"
	"time"
)

// For waits for d, and returns whether the context lasted that long.
func For(ctx context.Context, d time.Duration) bool { return Until(ctx, nil, d) }

// Until is For that ends early when wake is closed or something is received from it.
func Until(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
		return ctx.Err() == nil
	case <-timer.C:
		return true
	}
}
