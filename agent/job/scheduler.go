package job

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/pause"
)

const (
	// clockStep is how often a wait looks at the clock, which may be set.
	clockStep = 30 * time.Second
	// tidyStep is how often retention looks whether it is due, and at the clock.
	tidyStep = 5 * time.Minute
	// idle is for how long who has nothing to do waits for another plan.
	idle = 24 * time.Hour
	// setBack is how far behind the last scheduled run the clock must be to have been set back, and
	// not just corrected.
	setBack = time.Hour
	// purgeEvery is how often retention works at least.
	purgeEvery = 24 * time.Hour
)

// scheduler says when something is done by itself. Each of its loops is a
// goroutine of its own.
type scheduler struct {
	log           *slog.Logger
	plans         *Plans
	clock         *Clock
	inventory     *InventoryReader
	runs          *Runs
	purger        *purger
	scrubber      *scrubber
	verifier      *Verifier
	importer      *importer
	status        *StatusReader
	recovery      *Recovery
	orphans       *orphans
	displacements *Displacements
	upcoming      *upcoming
	lookEvery     time.Duration // zero means LookEvery
}

// run returns when ctx has ended, and all that was begun.
func (s *scheduler) run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { s.keepSchedule(ctx) })
	loops.Go(func() { s.keepTidy(ctx) })
	loops.Go(func() { s.keepStatus(ctx) })
	loops.Go(func() { s.keepTesting(ctx) })
	loops.Go(func() { s.keepScrubbed(ctx) })
	loops.Wait()
}

// keepSchedule starts a scheduled run whenever one is due. A scheduled run that takes longer than the
// schedule's interval makes the ones in between fall out.
func (s *scheduler) keepSchedule(ctx context.Context) {
	var last time.Time // when the last scheduled run was due
	for s.awaitScheduledRun(ctx, &last) {
		s.log.Info("a scheduled run begins", "due", last)
		outcomes := s.runs.BackUp(ctx, Request{Trigger: state.TriggerSchedule})
		if ctx.Err() != nil {
			return
		}
		if err := Failures(outcomes); err != nil {
			s.log.Error("the scheduled run ended with failures", "error", err)
		}
		s.purger.purge(ctx)
	}
}

// keepTesting restores the newest backup of each database whenever that is due.
func (s *scheduler) keepTesting(ctx context.Context) {
	var last time.Time
	for s.await(ctx, func(p Plan) *Schedule { return p.Verify.Schedule }, &last, s.upcoming.setVerify) {
		s.verifier.verifyNewest(ctx)
	}
}

// awaitScheduledRun waits until a scheduled run is due that comes after last, and moves last to it.
// The clock may jump meanwhile, either way.
func (s *scheduler) awaitScheduledRun(ctx context.Context, last *time.Time) bool {
	return s.await(ctx, func(p Plan) *Schedule { return p.Schedule }, last, s.upcoming.setRun)
}

// await is awaitScheduledRun for any schedule of the plan in force; tell hears when it
// is due next, the zero time for never.
func (s *scheduler) await(ctx context.Context, of func(Plan) *Schedule, last *time.Time, tell func(time.Time)) bool {
	var (
		by     *Schedule
		due    time.Time // by it
		looked time.Time // before which nothing was due
	)
	for {
		replaced := s.plans.wake()
		schedule := of(s.plans.Get())
		now := s.clock.Now()
		if looked.IsZero() || now.Before(looked) {
			looked = now
		}
		if schedule != by {
			by, due = schedule, time.Time{}
		} else {
			looked = now
		}
		if schedule == nil {
			tell(time.Time{})
			if !pause.Until(ctx, replaced, idle) {
				return false
			}
			continue
		}
		if now.Before(last.Add(-setBack)) {
			*last = time.Time{}
		}
		if next := schedule.Next(later(looked, *last)); due.IsZero() || next.Before(due) {
			due = next
		}
		if !due.After(now) {
			*last = due
			tell(schedule.Next(later(now, due)))
			return true
		}
		tell(due)
		if !pause.Until(ctx, replaced, min(due.Sub(now), clockStep)) {
			return false
		}
	}
}

// keepTidy imports what the old script left or, while the two run side by side, still makes, and
// then removes by policy once a day, or sooner after scheduled runs.
func (s *scheduler) keepTidy(ctx context.Context) {
	for ctx.Err() == nil {
		s.importer.importFiles(ctx)
		if s.clock.trusted() && s.purger.isDue() {
			s.purger.purge(ctx)
		}
		if !pause.For(ctx, tidyStep) {
			return
		}
	}
}

// keepScrubbed reads the stored files again, one after the other.
func (s *scheduler) keepScrubbed(ctx context.Context) {
	var last time.Time              // when the last scrub began
	tried := map[string]time.Time{} // when that of a backup began, of which there may be nothing to remember
	for {
		replaced := s.plans.wake()
		every := s.plans.Get().Scrub.Every
		if every <= 0 {
			if !pause.Until(ctx, replaced, idle) {
				return
			}
			continue
		}
		maps.DeleteFunc(tried, func(_ string, at time.Time) bool {
			ago := s.clock.Now().Sub(at)
			return ago < 0 || ago >= every
		})
		next, wait := dueScrub(s.inventory.Current().Backups, tried, last, s.clock.Now(), every)
		if wait <= 0 && next != nil {
			last = s.clock.Now()
			tried[next.ID] = last
			s.scrubber.scrub(ctx, *next)
			wait = 0
		}
		if !pause.Until(ctx, replaced, min(max(wait, yieldStep), clockStep)) {
			return
		}
	}
}

// keepStatus looks at the instance again and again, and drops what has its time
// behind it there.
func (s *scheduler) keepStatus(ctx context.Context) {
	for {
		replaced := s.plans.wake()
		wait := cmp.Or(s.lookEvery, LookEvery)
		if !s.status.Refresh(ctx) {
			wait = min(wait, statusAgain)
		}
		s.recovery.retryOrphans(ctx)
		s.displacements.maintain(ctx)
		s.orphans.dropRoles(ctx)
		if !pause.Until(ctx, replaced, wait) {
			return
		}
	}
}

// upcoming is what the schedules bring next; zero for nothing.
type upcoming struct {
	mu          sync.Mutex
	run, verify time.Time
}

func newUpcoming(plan Plan, now time.Time) *upcoming {
	u := &upcoming{}
	if plan.Schedule != nil {
		u.run = plan.Schedule.Next(now)
	}
	return u
}

func (u *upcoming) setRun(due time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.run = due
}

func (u *upcoming) setVerify(due time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.verify = due
}

func (u *upcoming) times() (run, verify time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.run, u.verify
}
