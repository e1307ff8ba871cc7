package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

// exchange watches over the one moment of a restore at which databases that
// somebody uses change their names.
type exchange struct {
	displacements    *Displacements
	restoreID, jobID string
	began            bool
	release          func()
}

// watch makes a restore say when it is about to replace a database. It goes no further if that
// can't be recorded.
func (d *Displacements) watch(ctx context.Context, request *backup.RestoreRequest, jobID string) *exchange {
	x := &exchange{displacements: d, restoreID: request.RestoreID, jobID: jobID}
	request.BeforeSwap = func(replacement backup.Replacement) error {
		release, err := d.state.Displaced.Lock(ctx)
		if err != nil {
			return err
		}
		x.began, x.release = true, release
		return d.state.Displaced.Save(state.DisplacedDatabase{RestoreID: x.restoreID, JobID: jobID, Replacement: replacement})
	}
	return x
}

// end finds out how it ended, which the error of the restore may not say.
func (x *exchange) end(ctx context.Context, err error) error {
	if !x.began {
		return err
	}
	defer x.release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reconcileTime)
	defer cancel()
	displaced, reconcileErr := x.displacements.reconcile(ctx, x.restoreID)
	switch {
	case displaced.InPlace():
		return nil
	case displaced != nil && reconcileErr == nil:
		return errors.Join(err, errOutcomeUnknown) // another server answers now
	case reconcileErr != nil && err == nil:
		x.displacements.log.Error("what a restore replaced could not be recorded; it will be tried again", "restore", x.restoreID, "error", reconcileErr)
		return nil
	case reconcileErr != nil:
		return fmt.Errorf("%w: %w", err, errOutcomeUnknown)
	}
	return err
}
