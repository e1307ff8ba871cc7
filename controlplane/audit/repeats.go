package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

const (
	// RepeatsWithin is for how long what the same caller does again is counted, and
	// then told in one entry.
	RepeatsWithin = time.Hour
	// tellEvery is how soon after that it is told.
	tellEvery = time.Minute
	// firstFew is how many entries of one caller and action are written each within
	// that time, whatever they say; and differing, how many that say something else
	// than those before. What follows is counted.
	firstFew  = 3
	differing = 8
	// maxRepeating bounds what is counted at a time. It is callers times actions.
	maxRepeating = 100_000
)

// repeating is what is counted together: whatever else an entry says, its caller can
// choose.
type repeating struct{ actor, action, apart, outcome string }

func repeatingOf(a Action, outcome string) repeating {
	return repeating{a.Actor, a.Action, a.Apart, outcome}
}

// count is what was not written.
type count struct {
	begun       time.Time                  // of the time within which is counted
	written     map[[sha256.Size]byte]bool // what was said
	entries     int                        // written
	n           int
	first, last time.Time
	latest      Action
}

// repeats counts what somebody is refused, or an agent shows, again and again: the
// first few are written at once, and how often it came again once an hour has gone by
// or the control plane stops. One that is killed loses the count of the last hour, and
// nothing else.
type repeats struct {
	mu   sync.Mutex
	open map[repeating]*count
	over []over // whose time has gone by
}

type over struct {
	repeating
	*count
}

// again reports whether this was written before, or is one too many to be; then it is
// counted.
func (r *repeats) again(a Action, outcome string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := repeatingOf(a, outcome)
	c := r.open[key]
	if c != nil && now.Sub(c.begun).Abs() >= RepeatsWithin {
		r.close(key)
		c = nil
	}
	says := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", a.Instance, a.Target, a.Reason, a.Detail))
	switch {
	case c == nil && len(r.open) >= maxRepeating:
		return false
	case c == nil:
		if r.open == nil {
			r.open = map[repeating]*count{}
		}
		c = &count{begun: now, written: map[[sha256.Size]byte]bool{}}
		r.open[key] = c
	}
	if c.entries < firstFew || (!c.written[says] && len(c.written) < differing) {
		c.entries++
		c.written[says] = true
		return false
	}
	if c.n == 0 {
		c.first = now
	}
	c.n, c.last, c.latest = c.n+1, now, a
	return true
}

// forget is for an entry that could not be written: the next one is to be.
func (r *repeats) forget(a Action, outcome string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close(repeatingOf(a, outcome))
}

func (r *repeats) close(key repeating) {
	if c := r.open[key]; c != nil && c.n > 0 {
		r.over = append(r.over, over{key, c})
	}
	delete(r.open, key)
}

// due takes out what must be told now.
func (r *repeats) due(now time.Time, all bool) []over {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, c := range r.open {
		if all || now.Sub(c.begun).Abs() >= RepeatsWithin {
			r.close(key)
		}
	}
	due := r.over
	r.over = nil
	return due
}

// putBack is for what could not be told.
func (r *repeats) putBack(o over) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = append(r.over, o)
}

// Again reports whether an entry of this outcome would be one too many of its actor and
// action within an hour; it is counted then, and the count is written later.
func (t *Log) Again(a Action, outcome string) bool { return t.repeats.again(a, outcome, t.Now()) }

// Often runs f like Do, for what an agent or a device can do any number of times: the
// first few times have their entries before and after them, what follows within an
// hour is counted.
func (t *Log) Often(ctx context.Context, a Action, f func() error) error {
	if !t.Again(a, chain.OutcomeSucceeded) {
		sequence, err := t.Begin(ctx, a)
		if err != nil {
			t.repeats.forget(a, chain.OutcomeSucceeded)
			return err
		}
		return t.finish(ctx, a, sequence, f)
	}
	err := f()
	if err == nil || t.Again(a, chain.OutcomeFailed) {
		return err
	}
	failed := a
	failed.Detail = join(a.Detail, err.Error())
	return errors.Join(err, t.note(ctx, failed))
}

// TellRepeats writes what was counted for an hour, or all that was counted.
func (t *Log) TellRepeats(ctx context.Context, all bool) (err error) {
	for _, o := range t.repeats.due(t.Now(), all) {
		a := o.latest
		a.Detail = fmt.Sprintf("%d times more from %s to %s, the last: %s", o.n, o.first.UTC().Format(time.RFC3339), o.last.UTC().Format(time.RFC3339), a.Detail)
		if _, failed := t.write(ctx, a, o.outcome); failed != nil {
			t.repeats.putBack(o)
			err = errors.Join(err, failed)
		}
	}
	return err
}

// RunRepeats tells repeats as their time passes, until ctx ends. What is left then is for
// TellRepeats.
func (t *Log) RunRepeats(ctx context.Context, failed func(error)) {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := t.TellRepeats(ctx, false); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}
