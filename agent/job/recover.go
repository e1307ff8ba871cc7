package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

// Recover takes up what earlier agents on this state folder left: it removes
// their rests and journals their runs and jobs as failed, or as succeeded where
// the backup stands. It is to be called before any work.
func (r *Runner) Recover(ctx context.Context) error {
	works, err := r.State.Records.Abandoned()
	removed, sweepErr := r.Engine.Store.Sweep()
	for _, name := range removed {
		r.Log.Info("removed what an interrupted run left", "file", name)
	}
	for _, work := range works {
		r.recoverWork(ctx, work)
	}
	return errors.Join(err, sweepErr)
}

// RecoverRestores drops what restores by hand left, also those for a proof, and leaves all else to who
// has the backup folder.
func (r *Runner) RecoverRestores(ctx context.Context) error {
	works, err := r.State.Records.Abandoned()
	for _, work := range works {
		if (work.Restore != nil || work.Throwaway != "") && work.JobID == "" {
			r.recoverWork(ctx, work)
			continue
		}
		err = errors.Join(err, work.Leave())
	}
	return err
}

func (r *Runner) recoverWork(ctx context.Context, work *state.Work) {
	log := r.Log.With("record", work.ID)
	now := r.Now().UTC()
	switch {
	case work.Run != nil:
		entry := r.recoveredRun(*work.Run, now)
		log.Warn("a run was interrupted", "database", work.Run.Database, "state", entry.Run.State)
		r.finish(work, entry)
	case work.Throwaway != "":
		log.Warn("a test restore was interrupted", "folder", work.Throwaway)
		r.removeThrowaway(ctx, work)
	case work.Removal != nil:
		// Its reason was good when it was begun; to finish it is the way to
		// report it.
		if err := r.Engine.Store.Remove(work.Removal.Location); err != nil {
			log.Error("an interrupted removal could not be finished", "backup", work.Removal.BackupID, "error", err)
			r.finish(work)
			return
		}
		r.finish(work, state.RemovalEntry(*work.Removal))
	case work.Restore != nil:
		r.recoverRestore(ctx, work)
	case work.JobID != "":
		log.Warn("a job was interrupted", "job", work.JobID)
		r.finish(work, state.ResultEntry(state.Result{
			JobID: work.JobID, State: state.StateFailed, Error: errInterrupted.Error(), Failure: backup.FailureOther, FinishedAt: now,
		}))
	}
}

// recoverRestore ends a restore that was broken off. Where it was about to
// replace a database, the server says whether it has.
func (r *Runner) recoverRestore(ctx context.Context, work *state.Work) {
	kept, err := r.settleLocked(ctx, work.Restore.ID)
	if err != nil {
		r.Log.Warn("how a restore ended can't be told yet", "restore", work.Restore.ID, "error", err)
		r.leave(leftover{work: work})
		return
	}
	r.Log.Warn("a restore was interrupted", "target", work.Restore.Target, "in_place", kept.InPlace())
	result := state.Result{
		JobID: work.JobID, State: state.StateSucceeded, Outcome: kept.Outcome(), FinishedAt: r.Now().UTC(),
		About: state.About{Kind: "restore", Database: work.Restore.Target},
	}
	if !kept.InPlace() {
		result.State, result.Error, result.Failure = state.StateFailed, r.interruptedText(work), backup.FailureOther
	}
	var news []state.Entry
	if work.JobID != "" {
		news = append(news, state.ResultEntry(result))
	}
	switch {
	case !kept.InPlace() && !r.cleanUp(ctx, work):
		work = nil // its record is needed until its database is dropped
	case kept.InPlace():
		if err := r.Engine.Store.RemoveIncoming(work.Restore.ID); err != nil {
			r.Log.Error("what was fetched for a restore could not be removed", "restore", work.Restore.ID, "error", err)
		}
	}
	r.finish(work, news...)
}

// settleLocked is settle for who does not hold the lock of what is kept.
func (r *Runner) settleLocked(ctx context.Context, restoreID string) (*state.DisplacedDatabase, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if kept, err := r.State.Displaced.Of(restoreID); err != nil || kept == nil {
		return nil, err
	}
	release, err := r.State.Displaced.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return r.settle(ctx, restoreID)
}

// recoveredRun tells how an interrupted run ended. It may have come as far as the
// manifest, and then its backup is good.
func (r *Runner) recoveredRun(run state.Run, now time.Time) state.Entry {
	run.FinishedAt = now
	for _, b := range r.Inventory().Backups {
		if b.RunID == run.ID && b.State == backup.StatePresent {
			manifest := b.Manifest
			manifest.Tables = r.Tables(b)
			run.FinishedAt = manifest.FinishedAt
			run.Succeed(manifest)
			return state.RunEntry(run, &manifest)
		}
	}
	run.State, run.Error = state.StateFailed, errInterrupted.Error()
	return state.RunEntry(run, nil)
}

// interruptedText adds what can be said of an interrupted restore: its target
// gets its name at the very end, so if it is there, it is whole.
func (r *Runner) interruptedText(work *state.Work) string {
	text := errInterrupted.Error()
	if work.Restore.Replace {
		text += fmt.Sprintf("; the database %q that it was to replace was not touched", work.Restore.Target)
	} else {
		text += fmt.Sprintf("; if there is a database %q now, it is complete", work.Restore.Target)
	}
	return text
}
