package backup

import (
	"context"
	"errors"
	"fmt"
)

// RunRecord is what is known of a run whose process died.
type RunRecord struct {
	ID      string // RunID or RestoreID
	Restore bool
}

// CleanUp removes what a dead run left: of a backup the partial file, of a restore the temporary database, its role, and what was fetched for it. It returns
// what was removed. It may be called again, and must be after an error.
func (e *Engine) CleanUp(ctx context.Context, run RunRecord) (removed []string, err error) {
	if !run.Restore {
		return e.Store.Sweep()
	}
	if !restoreIDs.MatchString(run.ID) {
		return nil, fmt.Errorf("%q is no id of a restore", run.ID)
	}
	name := temporaryPrefix + run.ID
	if err := e.Instance.EndWork(ctx, name); err != nil {
		return nil, err
	}
	exists, err := e.Instance.DatabaseExists(ctx, name)
	if err != nil {
		return nil, err
	}
	if exists {
		if err := e.Instance.DropDatabase(ctx, name); err != nil {
			return nil, err
		}
		removed = append(removed, name)
	}
	return removed, errors.Join(e.dropOwnRoles(ctx, name), e.Store.RemoveIncoming(run.ID))
}
