package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
)

// Purge removes what the policy says is over, backup by backup and by id, and
// journals the reason of each. Nothing of a database is removed before its newest
// backup was read and found whole, and nothing at all while the clock is suspect.
func (r *Runner) Purge(ctx context.Context) {
	r.purging.Lock()
	defer r.purging.Unlock()
	if !r.clockTrusted() {
		r.Log.Warn("retention removes nothing while the clock is suspect")
		return
	}
	inventory := r.readInventory()
	expired := map[string][]Backup{}
	for _, b := range inventory.Backups {
		if !b.Retention.Keep && b.Retention.ID == b.ID {
			expired[b.Database] = append(expired[b.Database], b)
		}
	}
	var blocked error
	for database, backups := range expired {
		if err := r.newestIsWhole(ctx, inventory, database); err != nil {
			blocked = errors.Join(blocked, fmt.Errorf("database %q: %w", database, err))
			continue
		}
		sort.Slice(backups, func(a, b int) bool { return backups[a].CreatedAt.Before(backups[b].CreatedAt) })
		for _, b := range backups {
			if ctx.Err() != nil {
				return
			}
			r.remove(b)
		}
	}
	if ctx.Err() != nil {
		return
	}
	if blocked != nil {
		r.Log.Error("retention removes nothing of a database whose newest backup is not whole", "error", blocked)
	}
	r.trouble(topicPurge, sentence("retention is blocked, because the newest backup is not whole", blocked))
	r.forgetInventory()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastPurge = r.Now().UTC()
}

// newestIsWhole reads the newest backup of a database and compares its hash.
func (r *Runner) newestIsWhole(ctx context.Context, inventory Inventory, database string) error {
	ofDatabase := slices.DeleteFunc(slices.Clone(inventory.Backups), func(b Backup) bool {
		return b.Database != database || !b.Complete
	})
	if len(ofDatabase) == 0 {
		return errors.New("it has no good backup")
	}
	newest := slices.MaxFunc(ofDatabase, func(a, b Backup) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	if newest.State != backup.StatePresent {
		return fmt.Errorf("the file of backup %s is %s", newest.ID, newest.State)
	}
	if !newest.good() {
		return fmt.Errorf("the test restore of backup %s failed", newest.ID)
	}
	damage, err := r.Engine.Scrub(ctx, newest.Stored, nil)
	if err != nil {
		return fmt.Errorf("read backup %s: %w", newest.ID, err)
	}
	r.scrubbed(newest, damage)
	if damage != "" {
		return fmt.Errorf("backup %s: %w: %s", newest.ID, backup.ErrDamaged, damage)
	}
	return nil
}

// remove removes one backup, with a record before and the journal after, so that
// a crash in between does not make it a backup that is missing.
func (r *Runner) remove(b Backup) {
	alone, err := r.alone()
	if err != nil {
		r.Log.Error("a backup stays, because its removal can't be kept apart from others' holds", "backup", b.ID, "error", err)
		return
	}
	defer alone()
	if r.isInUse(b.ID) {
		return // since the plan was made; the newest backup may have taken hours to read
	}
	removal := state.Removal{BackupID: b.ID, Location: b.Location, Reason: b.Retention.Reason, RemovedAt: r.Now().UTC()}
	work, err := r.State.Records.Begin(state.Record{ID: "removal-" + b.ID, Removal: &removal})
	if err != nil {
		r.Log.Error("a backup stays, because its removal can't be recorded", "backup", b.ID, "error", err)
		r.trouble(topicJournal, "the state folder can't be written: "+err.Error())
		return
	}
	err = r.Engine.Store.Remove(b.Location)
	if errors.Is(err, store.ErrHeld) {
		r.finish(work) // it was held after the plan was made
		return
	}
	if err != nil {
		r.Log.Error("a backup could not be removed", "backup", b.ID, "file", b.Location.File, "error", err)
		r.finish(work)
		return
	}
	// Before anybody can hear of it: an inventory from before, told afterwards, would
	// make it a backup that is missing.
	r.forgetInventory()
	r.Log.Info("backup removed", "backup", b.ID, "database", b.Database, "file", b.Location.File, "reason", removal.Reason)
	r.finish(work, state.RemovalEntry(removal))
	if err := r.State.Checks.Forget(b.ID); err != nil {
		r.Log.Warn("what was known of a removed backup is left in the state folder", "backup", b.ID, "error", err)
	}
}
