package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// removableFiles are the stored backups, for retention.
type removableFiles interface {
	// Remove removes a backup with all that is of it; store.ErrHeld if it is held.
	Remove(store.Location) error
}

// purger removes what retention says is over.
type purger struct {
	files     removableFiles
	records   *state.Records
	checks    *state.Checks
	log       *slog.Logger
	clock     *Clock
	inventory *InventoryReader
	scrubber  *scrubber
	reads     *reads
	recorder  *recorder
	lock      *removalLock
	warnings  *warnings
	began     time.Time // of the agent

	purging sync.Mutex // for as long as a purge takes

	mu   sync.Mutex
	last time.Time // of a purge that came to its end
}

// purge removes what the policy says is over, backup by backup and by id, and
// journals the reason of each. Nothing of a series is removed before its newest
// backup was read and found whole, nothing that a stored backup depends on, and
// nothing at all while the clock is suspect.
func (p *purger) purge(ctx context.Context) {
	p.purging.Lock()
	defer p.purging.Unlock()
	if !p.clock.trusted() {
		p.log.Warn("retention removes nothing while the clock is suspect")
		return
	}
	inventory := p.inventory.read()
	expired := map[subject.Series][]Backup{}
	for _, b := range inventory.Backups {
		if !b.Retention.Keep && b.Retention.ID == b.ID {
			expired[b.Series()] = append(expired[b.Series()], b)
		}
	}
	var blocked error
	dependents := dependentsOf(inventory)
	var waiting []Backup
	for series, backups := range expired {
		if err := p.newestIsWhole(ctx, inventory, series); err != nil {
			blocked = errors.Join(blocked, fmt.Errorf("%s: %w", series, err))
			continue
		}
		waiting = p.removeFree(ctx, append(waiting, backups...), dependents)
	}
	if ctx.Err() != nil {
		return
	}
	if blocked != nil {
		p.log.Error("retention removes nothing of a database whose newest backup is not whole", "error", blocked)
	}
	p.warnings.set(warnPurge, sentence("retention is blocked, because the newest backup is not whole", blocked))
	p.inventory.forget()
	now := p.clock.Now().UTC()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
}

// dependentsOf counts by id how many stored backups depend on one.
func dependentsOf(inventory Inventory) map[string]int {
	counted := map[string]int{}
	for _, b := range inventory.Backups {
		for _, id := range b.DependsOn {
			counted[id]++
		}
	}
	return counted
}

// removeFree removes the oldest first, each once nothing that is stored depends on
// it, and returns those on which something does: one that could not be removed keeps
// what it needs. It stops where ctx ends.
func (p *purger) removeFree(ctx context.Context, backups []Backup, dependents map[string]int) (waiting []Backup) {
	slices.SortStableFunc(backups, func(a, b Backup) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for freed := true; freed; backups, waiting = waiting, nil {
		freed = false
		for _, b := range backups {
			if ctx.Err() != nil {
				return nil
			}
			if dependents[b.ID] > 0 {
				waiting = append(waiting, b)
				continue
			}
			if !p.remove(b) {
				continue
			}
			for _, id := range b.DependsOn {
				dependents[id]--
				freed = true
			}
		}
	}
	return backups
}

// newestIsWhole reads the newest backup of a series and compares its hash.
func (p *purger) newestIsWhole(ctx context.Context, inventory Inventory, series subject.Series) error {
	ofSeries := slices.DeleteFunc(slices.Clone(inventory.Backups), func(b Backup) bool {
		return b.Series() != series || !b.Complete
	})
	if len(ofSeries) == 0 {
		return errors.New("it has no good backup")
	}
	newest := slices.MaxFunc(ofSeries, func(a, b Backup) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	if newest.State != backup.StatePresent {
		return fmt.Errorf("the file of backup %s is %s", newest.ID, newest.State)
	}
	if !newest.good() {
		return fmt.Errorf("the test restore of backup %s failed", newest.ID)
	}
	damage, err := p.scrubber.files.Scrub(ctx, newest.Stored, nil)
	if err != nil {
		return fmt.Errorf("read backup %s: %w", newest.ID, err)
	}
	p.scrubber.scrubbed(newest, damage)
	if damage != "" {
		return fmt.Errorf("backup %s: %w: %s", newest.ID, backup.ErrDamaged, damage)
	}
	return nil
}

// remove removes one backup, with a record before and the journal after, so that
// a crash in between does not make it a backup that is missing. It reports whether
// the backup is gone.
func (p *purger) remove(b Backup) bool {
	alone, err := p.lock.take()
	if err != nil {
		p.log.Error("a backup stays, because its removal can't be kept apart from others' holds", "backup", b.ID, "error", err)
		return false
	}
	defer alone()
	if p.reads.underWay(b.ID) {
		return false // since the plan was made; the newest backup may have taken hours to read
	}
	removal := state.Removal{BackupID: b.ID, Location: b.Location, Reason: b.Retention.Reason, RemovedAt: p.clock.Now().UTC()}
	work, err := p.records.Begin(state.Record{ID: "removal-" + b.ID, Removal: &removal})
	if err != nil {
		p.log.Error("a backup stays, because its removal can't be recorded", "backup", b.ID, "error", err)
		p.warnings.set(warnJournal, "the state folder can't be written: "+err.Error())
		return false
	}
	err = p.files.Remove(b.Location)
	if errors.Is(err, store.ErrHeld) {
		p.recorder.finish(work) // it was held after the plan was made
		return false
	}
	if err != nil {
		p.log.Error("a backup could not be removed", "backup", b.ID, "file", b.Location.File, "error", err)
		p.recorder.finish(work)
		return false
	}
	// Before anybody can learn of it: an inventory from before, told afterwards, would make it a
	// backup that is missing.
	p.inventory.forget()
	p.log.Info("backup removed", "backup", b.ID, "database", b.Database, "file", b.Location.File, "reason", removal.Reason)
	p.recorder.finish(work, state.RemovalEntry(removal))
	if err := p.checks.Forget(b.ID); err != nil {
		p.log.Warn("what was known of a removed backup is left in the state folder", "backup", b.ID, "error", err)
	}
	return true
}

func (p *purger) isDue() bool {
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	since := now.Sub(p.last)
	return p.last.IsZero() || since >= purgeEvery || since < -setBack
}

// next is when a purge is due, if a scheduled run is at the time run; zero: none is.
func (p *purger) next(run time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.IsZero() {
		return p.began // it is due at once
	}
	daily := p.last.Add(purgeEvery)
	if !run.IsZero() && run.Before(daily) {
		return run
	}
	return daily
}
