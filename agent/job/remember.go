package job

import (
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
)

// remember keeps for people on this host how a piece of work ended. That it can't be kept changes nothing of the work.
func (r *Runner) remember(e state.Ended) {
	if e.ID == "" {
		e.ID = newID()
	}
	if err := r.State.History.Add(e); err != nil {
		r.Log.Error("how a piece of work ended can't be remembered on this host", "id", e.ID, "error", err)
	}
}

// rememberEnd is remember for work that is in no entry of the journal and has just ended with err, or nil.
func (r *Runner) rememberEnd(e state.Ended, err error) {
	e.State, e.FinishedAt = state.StateSucceeded, r.Now().UTC()
	if err != nil {
		e.State, e.Error, e.Words = state.StateFailed, err.Error(), postgres.Words(err)
	}
	r.remember(e)
}
