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

// leftovers drops what broken restores left on the server, and knows what is
// still there.
type leftovers struct {
	engine *backup.Engine
	log    *slog.Logger

	mu      sync.Mutex
	waiting []leftover
}

// cleanUp drops what a broken restore left. Where the server is not there for
// it, the work is kept for later, and the answer is false.
func (l *leftovers) cleanUp(ctx context.Context, work *state.Work) bool {
	if work == nil || work.Restore == nil {
		return true
	}
	// The end of ctx may be what broke the restore.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	removed, err := l.engine.CleanUp(ctx, backup.RunRecord{ID: work.Restore.ID, Restore: true})
	for _, name := range removed {
		l.log.Info("removed what an interrupted restore left", "name", name)
	}
	if err == nil {
		return true
	}
	l.log.Error("what a restore left could not be removed; it will be tried again", "restore", work.Restore.ID, "error", err)
	l.leave(leftover{work: work, told: true})
	return false
}

// leftover is a restore whose end needs the server, which was away.
type leftover struct {
	work *state.Work
	told bool // how it ended; its temporary database is still to be dropped
}

func (l *leftovers) leave(left leftover) {
	if left.work == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, left)
}

// take returns all that waits, which is the caller's then.
func (l *leftovers) take() []leftover {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.waiting
	l.waiting = nil
	return waiting
}

// any says whether something waits for the server.
func (l *leftovers) any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) > 0
}

// dropRoles drops the roles of confined restores whose database is gone, or is somebody else's by now.
func (l *leftovers) dropRoles(ctx context.Context) {
	dropped, err := l.engine.Instance.DropOrphanRoles(ctx)
	for _, role := range dropped {
		l.log.Info("dropped the role of a confined restore, which owned nothing any more", "role", role)
	}
	if err != nil && ctx.Err() == nil {
		l.log.Debug("roles of restores could not be tended", "error", err)
	}
}
