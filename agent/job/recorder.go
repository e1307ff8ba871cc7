package job

import (
	"errors"
	"log/slog"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/random"
)

// recorder records work before it begins, and journals how it ended.
type recorder struct {
	state    *state.Folder
	log      *slog.Logger
	clock    *Clock
	warnings *warnings
}

// finish ends a piece of work whose record may be missing, because it could not
// be written. What can't be journaled is logged and said in the status; a record
// that stays is taken up at the next start.
func (r *recorder) finish(work *state.Work, entries ...state.Entry) {
	for _, entry := range entries {
		if ended, ok := entry.Ended(); ok {
			r.remember(ended)
		}
	}
	var err error
	if work != nil {
		err = work.Finish(entries...)
	} else {
		for _, entry := range entries {
			err = errors.Join(err, r.state.Journal.Append(entry))
		}
	}
	if err == nil {
		r.warnings.set(warnJournal, "")
		return
	}
	r.log.Error("what ended could not be journaled; the control plane learns of it later, or not at all", "error", err)
	r.warnings.set(warnJournal, "the journal in the state folder can't be written: "+err.Error())
}

// begin records work that is about to begin. If that can't be, the work goes on without: a full
// state folder is no reason for having no backup.
func (r *recorder) begin(record state.Record) *state.Work {
	work, err := r.state.Records.Begin(record)
	if err != nil {
		r.log.Error("work begins without a record; were it interrupted, nobody would hear of it", "error", err)
		r.warnings.set(warnJournal, "the state folder can't be written: "+err.Error())
		return nil
	}
	return work
}

// remember keeps for people on this host how a piece of work ended. That it can't be kept changes nothing of the work.
func (r *recorder) remember(e state.Ended) {
	if e.ID == "" {
		e.ID = random.ID()
	}
	if err := r.state.History.Add(e); err != nil {
		r.log.Error("how a piece of work ended can't be remembered on this host", "id", e.ID, "error", err)
	}
}

// rememberEnd is remember for work that is in no entry of the journal and has just ended with err, or nil.
func (r *recorder) rememberEnd(e state.Ended, err error) {
	e.State, e.FinishedAt = state.StateSucceeded, r.clock.Now().UTC()
	if err != nil {
		e.State, e.Error, e.Words = state.StateFailed, err.Error(), postgres.Words(err)
	}
	r.remember(e)
}
