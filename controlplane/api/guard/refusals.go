package guard

import (
	"sync"
	"time"
)

const (
	// refusedEvery is how often a certificate that was revoked is said to have been tried: an agent
	// that was revoked tries forever.
	refusedEvery = 24 * time.Hour
	// maxRefused bounds the certificates that are remembered.
	maxRefused = 10_000
)

// refusals remembers which certificates were tried recently without success.
type refusals struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// fresh reports whether this is the first time in a while, and notes it.
func (r *refusals) fresh(identity string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.last[identity]; ok && now.Sub(last) < refusedEvery {
		return false
	}
	if r.last == nil || len(r.last) >= maxRefused {
		r.last = map[string]time.Time{}
	}
	r.last[identity] = now
	return true
}
