package job

import (
	"context"
	"slices"
	"sync"
)

// turns bounds how many do something at once. The one who comes first has the next turn.
type turns struct {
	limit func() int // may change; grant is called then

	mu      sync.Mutex
	taken   int
	waiting []chan struct{} // each is closed when its turn has come
}

// atOnce bounds to a number that stays.
func atOnce(n int) *turns { return &turns{limit: func() int { return n }} }

// take waits for a turn; release ends it. The error is errInterrupted if ctx ended before.
func (t *turns) take(ctx context.Context) (release func(), err error) {
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	turn := make(chan struct{})
	t.mu.Lock()
	t.waiting = append(t.waiting, turn)
	t.mu.Unlock()
	t.grant()
	select {
	case <-turn:
		return t.release, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	at := slices.Index(t.waiting, turn)
	if at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
	}
	t.mu.Unlock()
	if at < 0 { // it came at the same moment
		t.release()
	}
	return nil, errInterrupted
}

func (t *turns) release() {
	t.mu.Lock()
	t.taken--
	t.mu.Unlock()
	t.grant()
}

// grant gives free turns to those who wait.
func (t *turns) grant() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.waiting) > 0 && t.taken < t.limit() {
		close(t.waiting[0])
		t.waiting = t.waiting[1:]
		t.taken++
	}
}
