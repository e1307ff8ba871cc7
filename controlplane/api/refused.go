package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

const (
	// refusedEvery is how often a certificate that was revoked is said to have been
	// tried: an agent that was revoked tries for ever.
	refusedEvery = 24 * time.Hour
	// maxRefused bounds the certificates that are remembered.
	maxRefused = 10_000
)

// refusals remembers which certificates were tried of late in vain.
type refusals struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// fresh says whether this is the first time in a while, and notes it.
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

// noteRefused writes to the trail that somebody tried a certificate of this fleet
// that is worth nothing any longer, once a day for each. Without a certificate of
// the fleet's own CA nobody gets here, so strangers can't fill the trail.
func (a *API) noteRefused(ctx context.Context, p pki.Principal, why error) error {
	if !errors.Is(why, fleet.ErrUnauthenticated) || !a.refused.fresh(p.URI().String(), a.Now()) {
		return why
	}
	return errors.Join(why, a.Trail.Denied(ctx, audit.Action{
		Actor: p.String(), Action: "connect", Target: "identity:" + p.Identity, Detail: why.Error(),
	}))
}
