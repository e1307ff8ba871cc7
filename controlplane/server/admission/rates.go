package admission

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// mostRated bounds how many peers are remembered. Beyond that, anonymous peers share one
// rate: somebody has very many addresses.
const mostRated = 4096

// rates keeps the rate of each peer.
type rates struct {
	limits Limits
	now    func() time.Time

	mu       sync.Mutex
	of       map[string]*rate.Limiter
	overflow *rate.Limiter
	forgot   time.Time // when those who ask nothing were dropped last
}

// allow reports whether a peer may make one more call now; kind is empty for an
// anonymous peer.
func (r *rates) allow(who string, kind pki.Kind) bool {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter := r.of[who]
	if limiter == nil {
		limiter = r.newcomer(who, kind, now)
	}
	return limiter.AllowN(now, 1)
}

func (r *rates) newcomer(who string, kind pki.Kind, now time.Time) *rate.Limiter {
	if len(r.of) >= mostRated && now.Sub(r.forgot) >= time.Second {
		r.forgetIdle(now)
		r.forgot = now
	}
	calls, burst := r.limits.Calls, r.limits.Burst
	if kind == "" {
		calls, burst = r.limits.AnonymousCalls, r.limits.AnonymousBurst
	}
	if len(r.of) >= mostRated && kind == "" {
		if r.overflow == nil {
			r.overflow = rate.NewLimiter(rate.Limit(calls), burst)
		}
		return r.overflow
	}
	if r.of == nil {
		r.of = map[string]*rate.Limiter{}
	}
	limiter := rate.NewLimiter(rate.Limit(calls), burst)
	r.of[who] = limiter
	return limiter
}

// forgetIdle drops those who have asked nothing for so long that they may do all
// again.
func (r *rates) forgetIdle(now time.Time) {
	for who, limiter := range r.of {
		if limiter.TokensAt(now) >= float64(limiter.Burst()) {
			delete(r.of, who)
		}
	}
}
