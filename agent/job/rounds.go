package job

import (
	"cmp"
	"context"
	"time"

	"github.com/pgharbor/pgharbor/agent/state"
)

const (
	// clockStep is how often a wait looks at the clock, which may be set.
	clockStep = 30 * time.Second
	// tidyStep is how often retention looks whether it is due, and at the clock.
	tidyStep = 5 * time.Minute
	// setBack is how far behind the last round the clock must be to have been
	// set back, and not just corrected.
	setBack = time.Hour
	// purgeEvery is how often retention works at least.
	purgeEvery = 24 * time.Hour
)

// keepSchedule runs a round whenever one is due. A round that takes longer than
// the schedule's interval makes the ones in between fall out.
func (r *Runner) keepSchedule(ctx context.Context) {
	var last time.Time // when the last round was due
	for r.awaitRound(ctx, &last) {
		r.Log.Info("a scheduled round begins", "due", last)
		outcomes := r.BackUp(ctx, Request{Trigger: state.TriggerSchedule})
		if ctx.Err() != nil {
			return
		}
		if err := Failures(outcomes); err != nil {
			r.Log.Error("the scheduled round ended with failures", "error", err)
		}
		r.Purge(ctx)
	}
}

// awaitRound waits until a round is due that comes after last, and moves last to
// it. The clock may jump meanwhile, either way.
func (r *Runner) awaitRound(ctx context.Context, last *time.Time) bool {
	return r.await(ctx, r.Schedule, last, r.setNextRun)
}

// await is awaitRound for any schedule; tell hears when it is due next.
func (r *Runner) await(ctx context.Context, schedule *Schedule, last *time.Time, tell func(time.Time)) bool {
	var due time.Time
	for {
		now := r.Now()
		if now.Before(last.Add(-setBack)) {
			*last = time.Time{}
		}
		if next := schedule.Next(later(now, *last)); due.IsZero() || next.Before(due) {
			due = next
		}
		if !due.After(now) {
			*last = due
			tell(schedule.Next(later(now, due)))
			return true
		}
		tell(due)
		if !pause(ctx, min(due.Sub(now), clockStep)) {
			return false
		}
	}
}

func (r *Runner) setNextRun(due time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nextRun = due
}

// keepTidy adopts what the old script left or, while the two run side by side,
// still makes, and then removes by policy once a day, or sooner after rounds.
func (r *Runner) keepTidy(ctx context.Context) {
	for ctx.Err() == nil {
		r.adopt(ctx)
		if r.clockTrusted() && r.purgeIsDue() {
			r.Purge(ctx)
		}
		if !pause(ctx, tidyStep) {
			return
		}
	}
}

func (r *Runner) adopt(ctx context.Context) {
	adopted, err := r.Engine.Adopt(ctx, cmp.Or(r.AdoptDatabase, r.DefaultDatabase))
	for _, manifest := range adopted {
		r.Log.Info("adopted a backup of the old script",
			"file", manifest.Filename, "database", manifest.Database, "backup", manifest.ID, "complete", manifest.Complete)
	}
	if len(adopted) > 0 && r.AdoptDatabase == "" {
		r.Log.Warn("the files of the old script do not say which database they are of; where that is another one, set BACKUP_ADOPT_DATABASE",
			"database", r.DefaultDatabase)
	}
	if len(adopted) > 0 {
		r.forgetInventory()
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.Log.Error("a file of the old script could not be adopted", "error", err)
	}
	r.trouble(topicAdoption, sentence("files of the old script could not be adopted", err))
}

func (r *Runner) purgeIsDue() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since := r.Now().Sub(r.lastPurge)
	return r.lastPurge.IsZero() || since >= purgeEvery || since < -setBack
}

// nextPurge is for who holds r.mu.
func (r *Runner) nextPurge() time.Time {
	if r.lastPurge.IsZero() {
		return r.began // it is due at once
	}
	daily := r.lastPurge.Add(purgeEvery)
	if !r.nextRun.IsZero() && r.nextRun.Before(daily) {
		return r.nextRun
	}
	return daily
}

// pause waits; it reports whether ctx lived on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
