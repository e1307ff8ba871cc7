package job

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
)

// topicKept begins the topics of what is kept, which end with a restore's id.
const topicKept = "kept-"

// tendKept brings the records of what restores replaced in line with the server,
// drops what has been kept for long enough, and says what takes space. Where
// somebody else is at it, it is left for the next time.
func (r *Runner) tendKept(ctx context.Context) {
	all, err := r.State.Displaced.All()
	if err != nil {
		r.Log.Error("not all records of what restores replaced can be read", "error", err)
	}
	r.trouble(topicKept, sentence("not all records of what restores replaced can be read", err))
	if len(all) == 0 {
		return
	}
	brief, cancel := context.WithTimeout(ctx, state.LockEvery)
	defer cancel()
	release, err := r.State.Displaced.Lock(brief)
	if err != nil {
		return
	}
	defer release()
	for _, kept := range all {
		if err := r.tend(ctx, kept.RestoreID); err != nil && ctx.Err() == nil {
			r.Log.Error("what a restore replaced could not be tended", "restore", kept.RestoreID, "database", kept.Name(), "error", err)
		}
	}
}

func (r *Runner) tend(ctx context.Context, restoreID string) error {
	kept, err := r.settle(ctx, restoreID)
	if err != nil {
		return err
	}
	topic := topicKept + restoreID
	if kept == nil {
		r.trouble(topic, "")
		return nil
	}
	stands, err := r.Engine.FindReplacement(ctx, kept.Replacement)
	if err != nil {
		return err
	}
	if !stands.Known {
		return nil // of another server, by a restore by hand
	}
	if err := r.date(kept); err != nil {
		return err
	}
	name, standing := stands.Old, stands.Place == backup.PlaceNew
	if !kept.UndoneAt.IsZero() {
		name, standing = stands.New, stands.Place == backup.PlaceOld
	}
	switch {
	case name == "":
		r.Log.Info("a database that was kept is gone", "database", kept.Name(), "restore", restoreID)
		return r.keepNoMore(*kept)
	case name == kept.Name() && standing && r.keptLongEnough(*kept):
		if err := r.Engine.Instance.DropDatabase(ctx, name); err != nil {
			r.trouble(topic, sentence(fmt.Sprintf("database %q was kept for long enough and can't be dropped", name), err))
			return err
		}
		r.Log.Info("dropped a database that was kept for long enough", "database", name, "restore", restoreID, "until", kept.Until)
		return r.keepNoMore(*kept)
	}
	r.trouble(topic, r.keptText(ctx, *kept, name))
	return nil
}

// tendRoles drops the roles of confined restores whose database is gone, or is somebody else's by now.
func (r *Runner) tendRoles(ctx context.Context) {
	dropped, err := r.Engine.Instance.DropOrphanRoles(ctx)
	for _, role := range dropped {
		r.Log.Info("dropped the role of a confined restore, which owned nothing any more", "role", role)
	}
	if err != nil && ctx.Err() == nil {
		r.Log.Debug("roles of restores could not be tended", "error", err)
	}
}

// date lets the days of what a suspect clock has dated begin once the clock is trusted.
func (r *Runner) date(k *state.DisplacedDatabase) error {
	if !k.Undated || !r.clockTrusted() {
		return nil
	}
	k.Undated = false
	if !k.Until.IsZero() {
		k.Until = r.keepUntil(r.Now().UTC())
	}
	if err := r.State.Displaced.Save(*k); err != nil {
		return err
	}
	r.tellOutcome(*k, k.Outcome())
	return nil
}

// keptLongEnough is never true while the clock is suspect.
func (r *Runner) keptLongEnough(k state.DisplacedDatabase) bool {
	now := r.Now()
	return r.KeepOldDays > 0 && !k.Undated && !k.Until.IsZero() && !now.Before(k.Until) && now.After(k.ReplacedAt) && r.clockTrusted()
}

// keepNoMore forgets a database that is gone, and says so.
func (r *Runner) keepNoMore(k state.DisplacedDatabase) error {
	r.trouble(topicKept+k.RestoreID, "")
	told := k.Outcome()
	told.Kept, told.Until = "", time.Time{}
	r.tellOutcome(k, told)
	return r.State.Displaced.Forget(k.RestoreID)
}

// keptText says what is kept, how much space it takes and what to do about it.
func (r *Runner) keptText(ctx context.Context, k state.DisplacedDatabase, name string) string {
	until := "until it is dropped by hand"
	if !k.Until.IsZero() {
		until = "until " + k.Until.Format(time.RFC3339)
	}
	size := ""
	if found, err := r.Engine.Instance.Database(ctx, name); err == nil && found.SizeBytes > 0 {
		size = fmt.Sprintf(" and takes %d MiB", found.SizeBytes>>20)
	}
	what := fmt.Sprintf("database %q, which restore %s replaced, is kept as %q %s%s", k.Database, k.RestoreID, name, until, size)
	if !k.UndoneAt.IsZero() {
		what = fmt.Sprintf("database %q, which restore %s had made and an undo took out of service, is kept %s%s", name, k.RestoreID, until, size)
	}
	return what
}

// databases lists those of the instance that are databases of their own: none
// that a restore is filling, nor one that is kept of a restore. The name alone makes
// no database one of those: anybody could hide theirs from health.
func (r *Runner) databases(ctx context.Context) ([]postgres.Database, error) {
	before := r.restoring() // and after: some begin and some end meanwhile
	found, err := r.Engine.Instance.Databases(ctx)
	if err != nil {
		return nil, err
	}
	filled := append(before, r.restoring()...)
	kept, err := r.State.Displaced.All()
	if err != nil {
		r.Log.Error("not all records of what restores replaced can be read", "error", err)
	}
	return slices.DeleteFunc(found, func(d postgres.Database) bool {
		return slices.Contains(filled, d.Name) || slices.ContainsFunc(kept, func(k state.DisplacedDatabase) bool { return d.Name == k.OldName || d.Name == k.NewName })
	}), nil
}

// restoring are the databases that restores fill.
func (r *Runner) restoring() (names []string) {
	ids, err := r.State.Records.Restoring()
	if err != nil {
		r.Log.Error("not all records of restores under way can be read", "error", err)
	}
	for _, id := range ids {
		names = append(names, backup.TemporaryDatabase(id))
	}
	return names
}
