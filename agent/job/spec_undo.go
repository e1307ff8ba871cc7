package job

import (
	"context"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/state"
)

// refusedReplace is what a host does not allow that lets no database be replaced.
const refusedReplace = "that a database is replaced"

// UndoSpec asks to put the database back that a restore replaced.
type UndoSpec struct{ RestoreID string }

// Kind implements Spec.
func (UndoSpec) Kind() string { return "undo" }

func (s UndoSpec) check() error {
	if !state.ValidJobID(s.RestoreID) {
		return fmt.Errorf("%w: %.64q is no id of a restore", errSpec, s.RestoreID)
	}
	return nil
}

func (UndoSpec) about() state.About { return state.About{} }

func (UndoSpec) refused(p policy.Policy) string {
	if !p.Replace {
		return refusedReplace
	}
	return ""
}

func (s UndoSpec) run(ctx context.Context, on *workers, task *task) error {
	kept, err := on.displacements.Undo(ctx, s.RestoreID, "")
	if err == nil {
		task.result.Outcome = kept.Outcome()
	}
	return err
}
