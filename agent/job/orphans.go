package job

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

// cleanUpTime bounds the dropping of a temporary database after the work that
// made it was cancelled.
const cleanUpTime = 5 * time.Second

// orphans drops what broken restores left on the server, and knows what is
// still there.
type orphans struct {
	engine *backup.Engine
	log    *slog.Logger

	mu      sync.Mutex
	waiting []orphan
}

// cleanUp drops what a broken restore left. If the server is not there for it, the work is kept for
// later, and the answer is false.
func (o *orphans) cleanUp(ctx context.Context, work *state.Work) bool {
	if work == nil || work.Restore == nil {
		return true
	}
	// The end of ctx may be what broke the restore.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	removed, err := o.engine.CleanUp(ctx, backup.RunRecord{ID: work.Restore.ID, Restore: true})
	for _, name := range removed {
		o.log.Info("removed what an interrupted restore left", "name", name)
	}
	if err == nil {
		return true
	}
	o.log.Error("what a restore left could not be removed; it will be tried again", "restore", work.Restore.ID, "error", err)
	o.leave(orphan{work: work, told: true})
	return false
}

// orphan is a restore whose end needs the server, which was away.
type orphan struct {
	work *state.Work
	told bool // how it ended; its temporary database is still to be dropped
}

func (o *orphans) leave(left orphan) {
	if left.work == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, left)
}

// take returns all that waits, which is the caller's then.
func (o *orphans) take() []orphan {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting := o.waiting
	o.waiting = nil
	return waiting
}

// any reports whether something waits for the server.
func (o *orphans) any() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting) > 0
}

// dropRoles drops the roles of sandboxed restores whose database is gone, or is somebody else's by
// now.
func (o *orphans) dropRoles(ctx context.Context) {
	dropped, err := o.engine.Instance.DropOrphanRoles(ctx)
	for _, role := range dropped {
		o.log.Info("dropped the role of a sandboxed restore, which owned nothing any more", "role", role)
	}
	if err != nil && ctx.Err() == nil {
		o.log.Debug("roles of restores could not be tended", "error", err)
	}
}
