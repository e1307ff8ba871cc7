package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/random"
)

// reconcileTime bounds the look at how an exchange of databases ended, after the
// context of the work has.
const reconcileTime = 30 * time.Second

// errOutcomeUnknown reports that nobody knows yet whether databases were exchanged.
var errOutcomeUnknown = errors.New("whether the restored database is in place will be known when the server is back")

// exchanger puts one database in the place of another, and tells which is where.
type exchanger interface {
	FindReplacement(context.Context, backup.Replacement) (backup.Stands, error)
	// SettledReplacement ends what an exchange has left running, first.
	SettledReplacement(context.Context, backup.Replacement) (backup.Stands, error)
	Undo(context.Context, backup.Replacement) error
}

// droppable are the databases of the instance, for who drops those that were replaced.
type droppable interface {
	Database(ctx context.Context, name string) (postgres.Database, error)
	DropDatabase(ctx context.Context, name string) error
}

// Displacements keeps the databases that restores have replaced, for as long as
// the plan says.
type Displacements struct {
	exchanges exchanger
	databases droppable
	state     *state.Folder
	log       *slog.Logger
	plans     *Plans
	clock     *Clock
	recorder  *recorder
	warnings  *warnings
}

// reconcile brings the record of a restore in line with where its databases are, and returns it:
// nil if nothing was exchanged, or nothing is kept any more. It is for who holds the lock of what
// is kept.
func (d *Displacements) reconcile(ctx context.Context, restoreID string) (*state.DisplacedDatabase, error) {
	displaced, err := d.state.Displaced.Of(restoreID)
	if err != nil || displaced == nil {
		return nil, err
	}
	stands, err := d.exchanges.SettledReplacement(ctx, displaced.Replacement)
	if err != nil {
		return nil, err
	}
	now := d.clock.Now().UTC()
	// If neither has the name, somebody has renamed or dropped it since; the old one's name tells
	// what was before.
	exchanged := stands.Place == backup.PlaceNew || stands.Place == backup.PlaceOther && stands.Old == displaced.OldName
	switch {
	case !displaced.InPlace() && exchanged:
		displaced.ReplacedAt, displaced.Until, displaced.Undated = now, d.keepUntil(now), !d.clock.trusted()
		d.log.Info("a restored database is in place; the one before is kept", "database", displaced.Database, "kept", displaced.OldName,
			"until", displaced.Until, "restore", restoreID)
		return displaced, d.state.Displaced.Save(*displaced)
	case !displaced.InPlace() && stands.Known:
		return nil, d.state.Displaced.Forget(restoreID)
	case stands.Place == backup.PlaceOld && displaced.UndoneAt.IsZero():
		displaced.UndoneAt, displaced.Until, displaced.Undated = now, d.keepUntil(now), !d.clock.trusted()
		d.log.Info("a restore was undone; what it had restored is kept", "database", displaced.Database, "kept", displaced.NewName,
			"until", displaced.Until, "restore", restoreID)
		err := d.state.Displaced.Save(*displaced)
		d.tellOutcome(*displaced, displaced.Outcome())
		return displaced, err
	}
	return displaced, nil
}

// reconcileLocked is reconcile for who does not hold the lock of what is kept.
func (d *Displacements) reconcileLocked(ctx context.Context, restoreID string) (*state.DisplacedDatabase, error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileTime)
	defer cancel()
	if displaced, err := d.state.Displaced.Of(restoreID); err != nil || displaced == nil {
		return nil, err
	}
	release, err := d.state.Displaced.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return d.reconcile(ctx, restoreID)
}

// keepUntil is the zero time if it is kept until it is dropped by hand.
func (d *Displacements) keepUntil(from time.Time) time.Time {
	days := d.plans.Get().KeepOldDays
	if days == 0 {
		return time.Time{}
	}
	return from.AddDate(0, 0, days)
}

// tellOutcome reports to the control plane, if that asked for the restore, what is kept of it by
// now.
func (d *Displacements) tellOutcome(k state.DisplacedDatabase, outcome *state.RestoreOutcome) {
	if k.JobID == "" {
		return
	}
	d.recorder.finish(nil, state.Entry{ID: "kept-" + random.ID(), Result: &state.Result{
		JobID: k.JobID, State: state.StateSucceeded, FinishedAt: k.ReplacedAt, Outcome: outcome,
	}})
}

// Undo puts the database back that a restore replaced, and keeps the restored
// one in its stead. The confirmation must be the database's name, unless it is
// "", because somebody else has asked for it.
func (d *Displacements) Undo(ctx context.Context, restoreID, confirm string) (state.DisplacedDatabase, error) {
	// It waits for an exchange that is under way, and not for a restore that is
	// still being filled.
	release, err := d.state.Displaced.Lock(ctx)
	if err != nil {
		return state.DisplacedDatabase{}, err
	}
	defer release()
	displaced, err := d.reconcile(ctx, restoreID)
	switch {
	case err != nil:
		return state.DisplacedDatabase{}, err
	case displaced == nil:
		return state.DisplacedDatabase{}, fmt.Errorf("%w: nothing is kept here of a restore %q that replaced a database", backup.ErrNotFound, restoreID)
	case !displaced.UndoneAt.IsZero():
		return state.DisplacedDatabase{}, fmt.Errorf("restore %s was undone at %s", restoreID, displaced.UndoneAt.Format(time.RFC3339))
	case confirm != "" && confirm != displaced.Database:
		return state.DisplacedDatabase{}, fmt.Errorf("%w: restore %s replaced %q, and not %q", ErrConfirmation, restoreID, displaced.Database, confirm)
	}
	if err := d.exchanges.Undo(ctx, displaced.Replacement); err != nil {
		return state.DisplacedDatabase{}, err
	}
	if displaced, err = d.reconcile(context.WithoutCancel(ctx), restoreID); err != nil || displaced == nil {
		return state.DisplacedDatabase{}, errors.Join(err, errOutcomeUnknown)
	}
	return *displaced, nil
}

// ErrConfirmation reports that a name was repeated that is not the one.
var ErrConfirmation = errors.New("the confirmation is wrong")
