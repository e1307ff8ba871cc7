package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/load"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// dropTimeout bounds the dropping of a temporary database after the context of the restore has ended.
const dropTimeout = time.Minute

// CleanUp removes what a restore left whose process died: the temporary database, its role, and what was fetched for it. It
// returns what was removed. It may be called again, and must be after an error.
func (r *Restorer) CleanUp(ctx context.Context, restoreID string) (removed []string, err error) {
	if !restoreIDs.MatchString(restoreID) {
		return nil, fmt.Errorf("%q is no id of a restore", restoreID)
	}
	name := temporaryPrefix + restoreID
	if err := r.instance.EndWork(ctx, name); err != nil {
		return nil, err
	}
	exists, err := r.instance.DatabaseExists(ctx, name)
	if err != nil {
		return nil, err
	}
	if exists {
		if err := r.instance.DropDatabase(ctx, name); err != nil {
			return nil, err
		}
		removed = append(removed, name)
	}
	return removed, errors.Join(dropOwnRoles(ctx, r.instance, name), r.incoming.RemoveIncoming(restoreID))
}

// takeBack removes what a restore has made that failed with err, and returns that, with what could not be removed.
func (r *Restorer) takeBack(ctx context.Context, temporary string, roles []string, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
	defer cancel()
	if dropErr := r.instance.DropDatabase(ctx, temporary); dropErr != nil {
		return fmt.Errorf("%w; its temporary database %s is left: %w", err, temporary, dropErr)
	}
	if dropErr := errors.Join(r.instance.DropRoles(ctx, roles), dropOwnRoles(ctx, r.instance, temporary)); dropErr != nil {
		return fmt.Errorf("%w; the roles that it made are left: %w", err, dropErr)
	}
	return err
}

// dropOwnRoles drops the roles that a load into a temporary database made, which is gone.
func dropOwnRoles(ctx context.Context, instance *postgres.Instance, temporary string) error {
	return errors.Join(load.DropRoles(ctx, instance, temporary), instance.DropSandboxed(ctx, temporary))
}
