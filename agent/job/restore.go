package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
)

// cleanUpTime bounds the dropping of a temporary database after the work that
// made it was cancelled.
const cleanUpTime = 5 * time.Second

func (r *Runner) performRestore(ctx context.Context, job Job) error {
	stored, err := r.Engine.Find(job.Restore.BackupID)
	if err != nil {
		return err
	}
	defer r.use(stored.ID)()
	origin, err := r.Engine.OriginOf(stored)
	if err != nil {
		return err
	}
	confined, err := r.admit(ctx, origin, "")
	if err != nil {
		return err
	}
	return r.restore(ctx, backup.RestoreRequest{
		Confined: confined,
		Path:     r.Engine.Store.Path(stored.Location), Manifest: &stored.Manifest, Target: job.Restore.Target,
		RestoreID: job.ID, WithRoles: job.Restore.WithRoles,
		OnProgress: func(p backup.Progress) { r.progress(job.ID, p) },
	})
}

// RestoreFile restores a file by hand, without a job. A record of it makes sure
// that its temporary database goes, whatever happens. By its origin, and what
// somebody says of that, the load is confined or not.
func (r *Runner) RestoreFile(ctx context.Context, request backup.RestoreRequest, origin backup.Origin, consent Consent) (err error) {
	if request.Confined, err = r.admit(ctx, origin, consent); err != nil {
		return err
	}
	request.RestoreID = newID()
	work := r.begin(Record{
		ID:      "restore-" + request.RestoreID,
		Restore: &Restore{ID: request.RestoreID, Target: request.Target},
	})
	err = r.restore(ctx, request)
	if err != nil && !r.cleanUp(ctx, work) {
		return err // the next start drops the database
	}
	r.finish(work)
	return err
}

func (r *Runner) restore(ctx context.Context, request backup.RestoreRequest) error {
	release, err := acquire(ctx, r.restoreSlots)
	if err != nil {
		return err
	}
	defer release()
	request.OnWarning = func(text string) {
		r.Log.Warn("the restored database lacks something", "target", request.Target, "what", text)
	}
	err = r.Engine.Restore(ctx, request)
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// use keeps retention off a backup until the returned function is called.
func (r *Runner) use(backupID string) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inUse[backupID]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.inUse[backupID]--
	}
}

// cleanUp drops what a broken restore left. Where the server is not there for
// it, the work is kept for later, and the answer is false.
func (r *Runner) cleanUp(ctx context.Context, work *Work) bool {
	if work == nil || work.Restore == nil {
		return true
	}
	// The end of ctx may be what broke the restore.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	removed, err := r.Engine.CleanUp(ctx, backup.RunRecord{ID: work.Restore.ID, Restore: true})
	for _, name := range removed {
		r.Log.Info("removed what an interrupted restore left", "name", name)
	}
	if err == nil {
		return true
	}
	r.Log.Error("what a restore left could not be removed; it will be tried again", "restore", work.Restore.ID, "error", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leftovers = append(r.leftovers, work)
	return false
}

// retryLeftovers tries again what cleanUp could not do.
func (r *Runner) retryLeftovers(ctx context.Context) {
	r.mu.Lock()
	works := r.leftovers
	r.leftovers = nil
	r.mu.Unlock()
	for _, work := range works {
		if r.cleanUp(ctx, work) {
			r.finish(work)
		}
	}
}

// Recover takes up what earlier agents on this state folder left: it removes
// their rests and journals their runs and jobs as failed, or as succeeded where
// the backup stands. It is to be called before any work.
func (r *Runner) Recover(ctx context.Context) error {
	works, err := r.State.Abandoned()
	removed, sweepErr := r.Engine.Store.Sweep()
	for _, name := range removed {
		r.Log.Info("removed what an interrupted run left", "file", name)
	}
	for _, work := range works {
		r.recoverWork(ctx, work)
	}
	return errors.Join(err, sweepErr)
}

// RecoverRestores drops what restores by hand left, and leaves all else to who
// has the backup folder.
func (r *Runner) RecoverRestores(ctx context.Context) error {
	works, err := r.State.Abandoned()
	for _, work := range works {
		if work.Restore != nil && work.JobID == "" {
			r.recoverWork(ctx, work)
			continue
		}
		err = errors.Join(err, work.Leave())
	}
	return err
}

func (r *Runner) recoverWork(ctx context.Context, work *Work) {
	log := r.Log.With("record", work.ID)
	now := r.Now().UTC()
	switch {
	case work.Run != nil:
		entry := r.recoveredRun(*work.Run, now)
		log.Warn("a run was interrupted", "database", work.Run.Database, "state", entry.Run.State)
		r.finish(work, entry)
	case work.Removal != nil:
		// Its reason was good when it was begun; to finish it is the way to
		// report it.
		if err := r.Engine.Store.Remove(work.Removal.Location); err != nil {
			log.Error("an interrupted removal could not be finished", "backup", work.Removal.BackupID, "error", err)
			r.finish(work)
			return
		}
		r.finish(work, removalEntry(*work.Removal))
	case work.JobID != "":
		log.Warn("a job was interrupted", "job", work.JobID)
		result := resultEntry(Result{
			JobID: work.JobID, State: StateFailed, Error: r.interruptedText(work), Failure: backup.FailureOther, FinishedAt: now,
		})
		if !r.cleanUp(ctx, work) {
			work = nil
		}
		r.finish(work, result)
	case work.Restore != nil:
		log.Warn("a restore was interrupted", "target", work.Restore.Target)
		if r.cleanUp(ctx, work) {
			r.finish(work)
		}
	}
}

// recoveredRun tells how an interrupted run ended. It may have come as far as the
// manifest, and then its backup is good.
func (r *Runner) recoveredRun(run Run, now time.Time) Entry {
	run.FinishedAt = now
	for _, b := range r.Inventory().Backups {
		if b.RunID == run.ID && b.State == backup.StatePresent {
			manifest := b.Manifest
			manifest.Tables = r.Tables(b)
			run.FinishedAt = manifest.FinishedAt
			run.succeed(manifest)
			return runEntry(run, &manifest)
		}
	}
	run.State, run.Error = StateFailed, errInterrupted.Error()
	return runEntry(run, nil)
}

// interruptedText adds what can be said of an interrupted restore: its target
// gets its name at the very end, so if it is there, it is whole.
func (r *Runner) interruptedText(work *Work) string {
	text := errInterrupted.Error()
	if work.Restore != nil {
		text += fmt.Sprintf("; if there is a database %q now, it is complete", work.Restore.Target)
	}
	return text
}
