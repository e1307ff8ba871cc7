package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

// settleTime bounds the look at how an exchange of databases ended, after the
// context of the work has.
const settleTime = 30 * time.Second

// errUnsettled says that nobody knows yet whether databases were exchanged.
var errUnsettled = errors.New("whether the restored database is in place will be known when the server is back")

// exchange watches over the one moment of a restore at which databases that
// somebody uses change their names.
type exchange struct {
	*Runner
	restoreID, jobID string
	began            bool
	release          func()
}

// watchExchange makes a restore say when it is about to replace a database. It
// goes no further where that can't be recorded.
func (r *Runner) watchExchange(ctx context.Context, request *backup.RestoreRequest, jobID string) *exchange {
	x := &exchange{Runner: r, restoreID: request.RestoreID, jobID: jobID}
	request.BeforeSwap = func(replacement backup.Replacement) error {
		release, err := r.State.Displaced.Lock(ctx)
		if err != nil {
			return err
		}
		x.began, x.release = true, release
		return r.State.Displaced.Save(state.DisplacedDatabase{RestoreID: x.restoreID, JobID: jobID, Replacement: replacement})
	}
	return x
}

// end finds out how it ended, which the error of the restore may not say.
func (x *exchange) end(ctx context.Context, err error) error {
	if !x.began {
		return err
	}
	defer x.release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	kept, settleErr := x.settle(ctx, x.restoreID)
	switch {
	case kept.InPlace():
		return nil
	case kept != nil && settleErr == nil:
		return errors.Join(err, errUnsettled) // another server answers now
	case settleErr != nil && err == nil:
		x.Log.Error("what a restore replaced could not be noted; it will be tried again", "restore", x.restoreID, "error", settleErr)
		return nil
	case settleErr != nil:
		return fmt.Errorf("%w: %w", err, errUnsettled)
	}
	return err
}

// settle brings the record of a restore in line with where its databases are,
// and returns it: nil where nothing was exchanged, or nothing is kept any more.
// It is for who holds the lock of what is kept.
func (r *Runner) settle(ctx context.Context, restoreID string) (*state.DisplacedDatabase, error) {
	kept, err := r.State.Displaced.Of(restoreID)
	if err != nil || kept == nil {
		return nil, err
	}
	stands, err := r.Engine.SettledReplacement(ctx, kept.Replacement)
	if err != nil {
		return nil, err
	}
	now := r.Now().UTC()
	// Where neither has the name, somebody has renamed or dropped it since; the old one's name tells what was before.
	exchanged := stands.Place == backup.PlaceNew || stands.Place == backup.PlaceOther && stands.Old == kept.OldName
	switch {
	case !kept.InPlace() && exchanged:
		kept.ReplacedAt, kept.Until, kept.Undated = now, r.keepUntil(now), !r.clockTrusted()
		r.Log.Info("a restored database is in place; the one before is kept", "database", kept.Database, "kept", kept.OldName,
			"until", kept.Until, "restore", restoreID)
		return kept, r.State.Displaced.Save(*kept)
	case !kept.InPlace() && stands.Known:
		return nil, r.State.Displaced.Forget(restoreID)
	case stands.Place == backup.PlaceOld && kept.UndoneAt.IsZero():
		kept.UndoneAt, kept.Until, kept.Undated = now, r.keepUntil(now), !r.clockTrusted()
		r.Log.Info("a restore was undone; what it had restored is kept", "database", kept.Database, "kept", kept.NewName,
			"until", kept.Until, "restore", restoreID)
		err := r.State.Displaced.Save(*kept)
		r.tellOutcome(*kept, kept.Outcome())
		return kept, err
	}
	return kept, nil
}

// keepUntil is the zero time where it is kept until it is dropped by hand.
func (r *Runner) keepUntil(from time.Time) time.Time {
	if r.KeepOldDays == 0 {
		return time.Time{}
	}
	return from.AddDate(0, 0, r.KeepOldDays)
}

// tellOutcome reports to the control plane, where that asked for the restore,
// what is kept of it by now.
func (r *Runner) tellOutcome(k state.DisplacedDatabase, outcome *state.RestoreOutcome) {
	if k.JobID == "" {
		return
	}
	r.finish(nil, state.Entry{ID: "kept-" + newID(), Result: &state.Result{
		JobID: k.JobID, State: state.StateSucceeded, FinishedAt: k.ReplacedAt, Outcome: outcome,
	}})
}

// Undo puts the database back that a restore replaced, and keeps the restored
// one in its stead. The confirmation must be the database's name, unless it is
// "", because somebody else has asked for it.
func (r *Runner) Undo(ctx context.Context, restoreID, confirm string) (state.DisplacedDatabase, error) {
	// It waits for an exchange that is under way, and not for a restore that is
	// still being filled.
	release, err := r.State.Displaced.Lock(ctx)
	if err != nil {
		return state.DisplacedDatabase{}, err
	}
	defer release()
	kept, err := r.settle(ctx, restoreID)
	switch {
	case err != nil:
		return state.DisplacedDatabase{}, err
	case kept == nil:
		return state.DisplacedDatabase{}, fmt.Errorf("%w: nothing is kept here of a restore %q that replaced a database", backup.ErrNotFound, restoreID)
	case !kept.UndoneAt.IsZero():
		return state.DisplacedDatabase{}, fmt.Errorf("restore %s was undone at %s", restoreID, kept.UndoneAt.Format(time.RFC3339))
	case confirm != "" && confirm != kept.Database:
		return state.DisplacedDatabase{}, fmt.Errorf("%w: restore %s replaced %q, and not %q", ErrConfirmation, restoreID, kept.Database, confirm)
	}
	if err := r.Engine.Undo(ctx, kept.Replacement); err != nil {
		return state.DisplacedDatabase{}, err
	}
	if kept, err = r.settle(context.WithoutCancel(ctx), restoreID); err != nil || kept == nil {
		return state.DisplacedDatabase{}, errors.Join(err, errUnsettled)
	}
	return *kept, nil
}

// ErrConfirmation says that a name was repeated that is not the one.
var ErrConfirmation = errors.New("the confirmation is wrong")
