package server

import (
	"context"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/api"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// pruneEvery is how often the catalog is pruned.
const pruneEvery = 10 * time.Minute

// checkBounds fills in what is not set, and refuses bounds with which a fleet can't be evaluated.
func (c *Config) checkBounds() error {
	if c.Share == (fleet.Share{}) {
		c.Share = fleet.DefaultShare
	}
	if c.Keep == (fleet.Keep{}) {
		c.Keep = fleet.DefaultKeep
	}
	const leastBytes = 64 << 20
	least := min(c.Keep.Runs, c.Keep.Jobs, c.Keep.Removed)
	switch s := c.Share; {
	case s.Databases < 1 || s.Databases > fleet.MaxDatabases:
		return fleet.NewProblem(fleet.ErrInvalid, "--agent-databases is from 1 to %d, not %d", fleet.MaxDatabases, s.Databases)
	case s.Backups < 1:
		return fleet.NewProblem(fleet.ErrInvalid, "--agent-backups is 1 at least, not %d", s.Backups)
	case s.Runs < s.Databases+fleet.RunsUnderWay:
		return fleet.NewProblem(fleet.ErrInvalid, "--agent-runs is %d at least, for the newest of each database and those under way, not %d",
			s.Databases+fleet.RunsUnderWay, s.Runs)
	case s.Bytes < leastBytes:
		return fleet.NewProblem(fleet.ErrInvalid, "--agent-bytes is %d at least, not %d", leastBytes, s.Bytes)
	case least < fleet.KeepAtLeast || c.Keep.Invites <= 0:
		return fleet.NewProblem(fleet.ErrInvalid, "--runs-days, --jobs-days and --removed-days are %d at least, for health looks a week back, and --invites-days is 1 at least",
			int(fleet.KeepAtLeast.Hours()/24))
	}
	return nil
}

// prune deletes what is over, from the start on until ctx ends.
func prune(ctx context.Context, c Config, a *api.API) {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		dropSealed(ctx, c, a)
		switch pruned, err := a.Catalog.Prune(ctx, c.Keep, c.Now().UTC()); {
		case err != nil && ctx.Err() == nil:
			c.Log.Error("the catalog could not be pruned", "error", err)
		case pruned > 0:
			c.Log.Info("pruned the catalog of what is over", "rows", pruned)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// dropSealed deletes what a seal that was interrupted has left, and nothing for one that the
// control plane has not signed.
func dropSealed(ctx context.Context, c Config, a *api.API) {
	seal, err := a.Checkpoints.Seal(ctx)
	if err == nil && seal.Valid() {
		err = a.Catalog.AuditLog.DropSealed(ctx)
	}
	if err != nil && ctx.Err() == nil {
		c.Log.Error("what was sealed off of the audit log stays in the catalog", "error", err)
	}
}

// tellRepeats writes to the audit log how often something came again, until ctx ends.
func tellRepeats(ctx context.Context, a *api.API) {
	a.Audit.RunRepeats(ctx, func(err error) {
		a.Log.Error("the audit log does not say how often something came again", "error", err)
	})
}

// tellLastRepeats writes what was counted when the control plane stops.
func tellLastRepeats(ctx context.Context, c Config, auditLog *audit.Log) {
	if err := auditLog.TellRepeats(context.WithoutCancel(ctx), true); err != nil {
		c.Log.Error("the audit log does not say how often something came again", "error", err)
	}
}
