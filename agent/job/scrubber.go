package job

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/pause"
)

// Scrub says how stored files are read again to find damage early.
type Scrub struct {
	// Every is within which time each file is read again; 0: none is.
	Every time.Duration
	// BytesPerSecond bounds the reading; 0: it is not bounded.
	BytesPerSecond int64
}

// yieldStep is how often a scrub that gives way looks whether it may go on.
const yieldStep = time.Second

// scrubbedFiles are the stored backups, for a scrub.
type scrubbedFiles interface {
	// Scrub reads a backup's files and says what is wrong with them; "" for nothing.
	Scrub(ctx context.Context, stored backup.Stored, pace backup.Pace) (damage string, err error)
}

// scrubber reads stored files again.
type scrubber struct {
	files     scrubbedFiles
	checks    *state.Checks
	log       *slog.Logger
	plans     *Plans
	clock     *Clock
	inventory *InventoryReader
	runs      *Runs
	recorder  *recorder
	warnings  *warnings
}

// dueScrub returns the backup that must be read next, the one that was not for the longest time,
// and how long to wait for it. It is due once that time has come to the period; yet between two
// scrubs there is half of a file's share of the period, so that a folder full of files that all are
// due, as on the first day, is not read at once. One that was tried without success waits until the
// others had their turn.
func dueScrub(backups []Backup, tried map[string]time.Time, last, now time.Time, period time.Duration) (next *Backup, wait time.Duration) {
	lookedAt := func(b *Backup) time.Time { return later(lookedAt(*b, now), tried[b.ID]) }
	count := 0
	for n := range backups {
		b := &backups[n]
		if b.State == backup.StateMissing {
			continue
		}
		count++
		if next == nil || lookedAt(b).Before(lookedAt(next)) {
			next = b
		}
	}
	if next == nil {
		return nil, period
	}
	wait = lookedAt(next).Add(period).Sub(now)
	if !last.IsZero() && !last.After(now) {
		wait = max(wait, last.Add(period/time.Duration(2*count)).Sub(now))
	}
	return next, wait
}

// lookedAt is when a backup's file was last known to be whole: its hash was made
// while it was written. A time that is yet to come is of a clock that was wrong.
func lookedAt(b Backup, now time.Time) time.Time {
	for _, at := range []time.Time{b.Check.ScrubbedAt, b.FinishedAt} {
		if !at.IsZero() && !at.After(now) {
			return at
		}
	}
	return time.Time{}
}

// scrub reads one backup's file again and remembers what it found.
func (s *scrubber) scrub(ctx context.Context, b Backup) {
	damage, err := s.files.Scrub(ctx, b.Stored, s.pace())
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, backup.ErrNotFound):
		s.log.Error("the file of a backup is gone", "backup", b.ID, "database", b.Database, "file", b.Location.File)
		s.inventory.announce()
	case err != nil:
		s.log.Error("a backup's file could not be read again", "backup", b.ID, "file", b.Location.File, "error", err)
		s.warnings.set(warnScrub, sentence("stored files can't be read again", err))
		return
	default:
		s.scrubbed(b, damage)
	}
	s.warnings.set(warnScrub, "")
}

// scrubbed remembers and journals what a look at a whole file found.
func (s *scrubber) scrubbed(b Backup, damage string) {
	now := s.clock.Now().UTC()
	if damage != "" {
		s.log.Error("a backup is damaged", "backup", b.ID, "database", b.Database, "file", b.Location.File, "damage", damage)
	} else {
		s.log.Debug("a backup's file is as it was written", "backup", b.ID, "file", b.Location.File)
	}
	err := s.checks.Update(b.ID, func(c *state.CheckState) { c.ScrubbedAt, c.Damage = now, damage })
	if err != nil {
		s.log.Error("what was found of a backup can't be remembered", "backup", b.ID, "error", err)
		s.warnings.set(warnJournal, "the state folder can't be written: "+err.Error())
	}
	s.inventory.announce() // before anybody can learn of it, and be told an inventory without it
	s.recorder.finish(nil, state.ScrubEntry(state.ScrubResult{BackupID: b.ID, ScrubbedAt: now, Damage: damage}))
}

// pace keeps a scrub to its rate, and lets backups go first.
func (s *scrubber) pace() backup.Pace {
	limit := rate.NewLimiter(rate.Inf, 0)
	if perSecond := s.plans.Get().Scrub.BytesPerSecond; perSecond > 0 {
		limit = rate.NewLimiter(rate.Limit(perSecond), backup.MaxPace)
	}
	return func(ctx context.Context, n int) error {
		for len(s.runs.Running()) > 0 {
			if !pause.For(ctx, yieldStep) {
				return context.Cause(ctx)
			}
		}
		return limit.WaitN(ctx, n)
	}
}
