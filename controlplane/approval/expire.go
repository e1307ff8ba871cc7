package approval

import (
	"context"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// RunExpiry closes the approvals whose time is over, at every interval, until ctx ends. They are
// worth nothing from that time on, also without it; it writes the audit log.
func (g *Gate) RunExpiry(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := g.expire(ctx); err != nil && ctx.Err() == nil {
			g.Log.Error("approvals that have expired could not be closed", "error", err)
		}
	}
}

func (g *Gate) expire(ctx context.Context) error {
	overdue, err := g.Catalog.Approvals.Overdue(ctx, g.Now().UTC())
	for _, approval := range overdue {
		if err == nil {
			_, err = g.close(ctx, approval, fleet.ApprovalExpired, "")
		}
	}
	return err
}
