package job

import (
	"context"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

// maintain brings the records of what restores replaced in line with the server, drops what has
// been kept for long enough, and reports what takes space. If somebody else is working on it, it is
// left for the next time.
func (d *Displacements) maintain(ctx context.Context) {
	all, err := d.state.Displaced.All()
	if err != nil {
		d.log.Error("not all records of what restores replaced can be read", "error", err)
	}
	d.warnings.set(warnDisplaced, sentence("not all records of what restores replaced can be read", err))
	if len(all) == 0 {
		return
	}
	brief, cancel := context.WithTimeout(ctx, state.LockEvery)
	defer cancel()
	release, err := d.state.Displaced.Lock(brief)
	if err != nil {
		return
	}
	defer release()
	for _, displaced := range all {
		if err := d.maintainOne(ctx, displaced.RestoreID); err != nil && ctx.Err() == nil {
			d.log.Error("what a restore replaced could not be tended", "restore", displaced.RestoreID, "database", displaced.Name(), "error", err)
		}
	}
}

func (d *Displacements) maintainOne(ctx context.Context, restoreID string) error {
	displaced, err := d.reconcile(ctx, restoreID)
	if err != nil {
		return err
	}
	key := warnDisplaced + restoreID
	if displaced == nil {
		d.warnings.set(key, "")
		return nil
	}
	stands, err := d.exchanges.FindReplacement(ctx, displaced.Replacement)
	if err != nil {
		return err
	}
	if !stands.Known {
		return nil // of another server, by a restore by hand
	}
	if err := d.date(displaced); err != nil {
		return err
	}
	name, standing := stands.Old, stands.Place == backup.PlaceNew
	if !displaced.UndoneAt.IsZero() {
		name, standing = stands.New, stands.Place == backup.PlaceOld
	}
	switch {
	case name == "":
		d.log.Info("a displaced database is gone", "database", displaced.Name(), "restore", restoreID)
		return d.forget(*displaced)
	case name == displaced.Name() && standing && d.longEnough(*displaced):
		if err := d.databases.DropDatabase(ctx, name); err != nil {
			d.warnings.set(key, sentence(fmt.Sprintf("database %q was kept for long enough and can't be dropped", name), err))
			return err
		}
		d.log.Info("dropped a displaced database after its days", "database", name, "restore", restoreID, "until", displaced.Until)
		return d.forget(*displaced)
	}
	d.warnings.set(key, d.describe(ctx, *displaced, name))
	return nil
}

// date lets the days of what a suspect clock has dated begin once the clock is trusted.
func (d *Displacements) date(k *state.DisplacedDatabase) error {
	if !k.Undated || !d.clock.trusted() {
		return nil
	}
	k.Undated = false
	if !k.Until.IsZero() {
		k.Until = d.keepUntil(d.clock.Now().UTC())
	}
	if err := d.state.Displaced.Save(*k); err != nil {
		return err
	}
	d.tellOutcome(*k, k.Outcome())
	return nil
}

// longEnough is never true while the clock is suspect.
func (d *Displacements) longEnough(k state.DisplacedDatabase) bool {
	now := d.clock.Now()
	return d.plans.Get().KeepOldDays > 0 && !k.Undated && !k.Until.IsZero() && !now.Before(k.Until) && now.After(k.ReplacedAt) && d.clock.trusted()
}

// forget forgets a database that is gone, and says so.
func (d *Displacements) forget(k state.DisplacedDatabase) error {
	d.warnings.set(warnDisplaced+k.RestoreID, "")
	told := k.Outcome()
	told.Displaced, told.Until = "", time.Time{}
	d.tellOutcome(k, told)
	return d.state.Displaced.Forget(k.RestoreID)
}

// describe reports what is kept, how much space it takes and what to do about it.
func (d *Displacements) describe(ctx context.Context, k state.DisplacedDatabase, name string) string {
	until := "until it is dropped by hand"
	if !k.Until.IsZero() {
		until = "until " + k.Until.Format(time.RFC3339)
	}
	size := ""
	if found, err := d.databases.Database(ctx, name); err == nil && found.SizeBytes > 0 {
		size = fmt.Sprintf(" and takes %d MiB", found.SizeBytes>>20)
	}
	what := fmt.Sprintf("database %q, which restore %s replaced, is kept as %q %s%s", k.Database, k.RestoreID, name, until, size)
	if !k.UndoneAt.IsZero() {
		what = fmt.Sprintf("database %q, which restore %s had made and an undo took out of service, is kept %s%s", name, k.RestoreID, until, size)
	}
	return what
}
