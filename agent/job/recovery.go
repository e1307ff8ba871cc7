package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

// Recovery takes up what earlier agents, and servers that were away, left.
type Recovery struct {
	engine        *backup.Engine
	state         *state.Folder
	log           *slog.Logger
	clock         *Clock
	recorder      *recorder
	inventory     *InventoryReader
	orphans       *orphans
	verifier      *Verifier
	displacements *Displacements
}

// Recover takes up what earlier agents on this state folder left: it removes their rests and
// journals their runs and jobs as failed, or as succeeded if the backup exists. It must be called
// before any work.
func (r *Recovery) Recover(ctx context.Context) error {
	works, err := r.state.Records.Abandoned()
	removed, sweepErr := r.engine.Store.Sweep()
	for _, name := range removed {
		r.log.Info("removed what an interrupted run left", "file", name)
	}
	for _, work := range works {
		r.recoverWork(ctx, work)
	}
	return errors.Join(err, sweepErr)
}

// RecoverRestores drops what restores by hand left, also those for a test restore, and leaves all
// else to who has the backup folder.
func (r *Recovery) RecoverRestores(ctx context.Context) error {
	works, err := r.state.Records.Abandoned()
	for _, work := range works {
		if (work.Restore != nil || work.Throwaway != "") && work.JobID == "" {
			r.recoverWork(ctx, work)
			continue
		}
		err = errors.Join(err, work.Leave())
	}
	return err
}

func (r *Recovery) recoverWork(ctx context.Context, work *state.Work) {
	log := r.log.With("record", work.ID)
	now := r.clock.Now().UTC()
	switch {
	case work.Run != nil:
		entry := r.recoveredRun(*work.Run, now)
		log.Warn("a run was interrupted", "database", work.Run.Database, "state", entry.Run.State)
		r.recorder.finish(work, entry)
	case work.Throwaway != "":
		log.Warn("a test restore was interrupted", "folder", work.Throwaway)
		r.verifier.removeThrowaway(ctx, work)
	case work.Removal != nil:
		// Its reason was good when it was begun; to finish it is the way to
		// report it.
		if err := r.engine.Store.Remove(work.Removal.Location); err != nil {
			log.Error("an interrupted removal could not be finished", "backup", work.Removal.BackupID, "error", err)
			r.recorder.finish(work)
			return
		}
		r.recorder.finish(work, state.RemovalEntry(*work.Removal))
	case work.Restore != nil:
		r.recoverRestore(ctx, work)
	case work.JobID != "":
		log.Warn("a job was interrupted", "job", work.JobID)
		r.recorder.finish(work, state.ResultEntry(state.Result{
			JobID: work.JobID, State: state.StateFailed, Error: errInterrupted.Error(), Failure: backup.FailureOther, FinishedAt: now,
		}))
	}
}

// recoverRestore ends a restore that was interrupted. If it was about to replace a database, the
// server says whether it has.
func (r *Recovery) recoverRestore(ctx context.Context, work *state.Work) {
	displaced, err := r.displacements.reconcileLocked(ctx, work.Restore.ID)
	if err != nil {
		r.log.Warn("how a restore ended can't be told yet", "restore", work.Restore.ID, "error", err)
		r.orphans.leave(orphan{work: work})
		return
	}
	r.log.Warn("a restore was interrupted", "target", work.Restore.Target, "in_place", displaced.InPlace())
	result := state.Result{
		JobID: work.JobID, State: state.StateSucceeded, Outcome: displaced.Outcome(), FinishedAt: r.clock.Now().UTC(),
		About: state.About{Kind: "restore", Database: work.Restore.Target},
	}
	if !displaced.InPlace() {
		result.State, result.Error, result.Failure = state.StateFailed, r.interruptedText(work), backup.FailureOther
	}
	var news []state.Entry
	if work.JobID != "" {
		news = append(news, state.ResultEntry(result))
	}
	switch {
	case !displaced.InPlace() && !r.orphans.cleanUp(ctx, work):
		work = nil // its record is needed until its database is dropped
	case displaced.InPlace():
		if err := r.engine.Store.RemoveIncoming(work.Restore.ID); err != nil {
			r.log.Error("what was fetched for a restore could not be removed", "restore", work.Restore.ID, "error", err)
		}
	}
	r.recorder.finish(work, news...)
}

// recoveredRun tells how an interrupted run ended. It may have come as far as the
// manifest, and then its backup is good.
func (r *Recovery) recoveredRun(run state.Run, now time.Time) state.Entry {
	run.FinishedAt = now
	for _, b := range r.inventory.Current().Backups {
		if b.RunID == run.ID && b.State == backup.StatePresent {
			manifest := b.Manifest
			manifest.Tables = r.inventory.Tables(b)
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
func (r *Recovery) interruptedText(work *state.Work) string {
	text := errInterrupted.Error()
	if work.Restore.Replace {
		text += fmt.Sprintf("; the database %q that it was to replace was not touched", work.Restore.Target)
	} else {
		text += fmt.Sprintf("; if there is a database %q now, it is complete", work.Restore.Target)
	}
	return text
}

// retryOrphans tries again what cleanUp could not do.
func (r *Recovery) retryOrphans(ctx context.Context) {
	for _, left := range r.orphans.take() {
		switch {
		case !left.told:
			r.recoverWork(ctx, left.work)
		case r.orphans.cleanUp(ctx, left.work):
			r.recorder.finish(left.work)
		}
	}
}
