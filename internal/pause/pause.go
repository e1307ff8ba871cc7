// Package pause waits in a way that the end of a context interrupts.
package pause

import (
	"context"
	"time"
)

// For waits for d, and returns whether the context lasted that long.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
