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

func (r *Runner) performRestore(ctx context.Context, job Job, result *Result) error {
	request, origin, done, err := r.restoreRequest(ctx, job.ID, job.Restore)
	if err != nil {
		return err
	}
	defer done()
	if request.Confined, err = r.admit(ctx, origin, ""); err != nil {
		return err
	}
	request.RestoreID = job.ID
	request.OnProgress = func(p backup.Progress) { r.progress(job.ID, p) }
	if err := r.restore(ctx, request, job.ID); err != nil {
		return err
	}
	kept, err := r.State.KeptOf(job.ID)
	if err != nil {
		r.Log.Error("what a restore replaced can't be told", "restore", job.ID, "error", err)
	}
	result.Outcome = outcomeOf(kept)
	return nil
}

// restoreRequest finds the stored backup of a spec, or fetches another instance's,
// and says who made it. It is in use until done.
func (r *Runner) restoreRequest(ctx context.Context, jobID string, spec *RestoreSpec) (request backup.RestoreRequest, origin backup.Origin, done func(), err error) {
	if spec.Source != nil {
		return r.fetchedRequest(ctx, jobID, spec)
	}
	stored, err := r.Engine.Find(spec.BackupID)
	if err != nil {
		return request, origin, nil, err
	}
	origin, err = r.Engine.OriginOf(stored)
	if err != nil {
		return request, origin, nil, err
	}
	return backup.RestoreRequest{
		Path: r.Engine.Store.Path(stored.Location), Manifest: &stored.Manifest, Target: spec.Target, Replace: spec.Replace,
		WithRoles: spec.WithRoles,
	}, origin, r.use(stored.ID), nil
}

func (r *Runner) performUndo(ctx context.Context, job Job, result *Result) error {
	kept, err := r.Undo(ctx, job.Undo.RestoreID, "")
	if err == nil {
		result.Outcome = outcomeOf(&kept)
	}
	return err
}

func (r *Runner) performPreview(ctx context.Context, job Job, result *Result) error {
	request, origin, done, err := r.restoreRequest(ctx, job.ID, job.Preview)
	if err != nil {
		return err
	}
	defer done()
	request.OnProgress = func(p backup.Progress) { r.progress(job.ID, p) }
	result.Checks = r.Preview(ctx, request, origin, "")
	return context.Cause(ctx)
}

// Preview looks ahead to a restore of a file of some origin, of which somebody
// may say more.
func (r *Runner) Preview(ctx context.Context, request backup.RestoreRequest, origin backup.Origin, consent Consent) []backup.Check {
	var err error
	request.Confined, err = r.admit(ctx, origin, consent)
	return append(r.Engine.Preview(ctx, request), backup.OriginCheck(origin, request.Confined, err))
}

// RestoreFile restores a file by hand, without a job, and returns the restore's
// id. A record of it makes sure that its temporary database goes, whatever
// happens. By its origin, and what somebody says of that, the load is confined or
// not.
func (r *Runner) RestoreFile(ctx context.Context, request backup.RestoreRequest, origin backup.Origin, consent Consent) (id string, err error) {
	if request.Confined, err = r.admit(ctx, origin, consent); err != nil {
		return "", err
	}
	request.RestoreID = newID()
	work := r.begin(Record{
		ID:      "restore-" + request.RestoreID,
		Restore: &Restore{ID: request.RestoreID, Target: request.Target, Replace: request.Replace},
	})
	err = r.restore(ctx, request, "")
	if errors.Is(err, errUnsettled) || err != nil && !r.cleanUp(ctx, work) {
		return request.RestoreID, err // the next start takes it up
	}
	r.finish(work)
	return request.RestoreID, err
}

func (r *Runner) restore(ctx context.Context, request backup.RestoreRequest, jobID string) error {
	release, err := acquire(ctx, r.restoreSlots)
	if err != nil {
		return err
	}
	defer release()
	request.OnWarning = func(text string) {
		r.Log.Warn("the restored database lacks something", "target", request.Target, "what", text)
	}
	exchange := r.watchExchange(ctx, &request, jobID)
	err = exchange.end(ctx, r.Engine.Restore(ctx, request))
	if err != nil && ctx.Err() != nil && !errors.Is(err, errUnsettled) {
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
	r.leave(leftover{work: work, told: true})
	return false
}

// leftover is a restore whose end needs the server, which was away.
type leftover struct {
	work *Work
	told bool // how it ended; its temporary database is still to be dropped
}

func (r *Runner) leave(l leftover) {
	if l.work == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leftovers = append(r.leftovers, l)
}

// retryLeftovers tries again what cleanUp could not do.
func (r *Runner) retryLeftovers(ctx context.Context) {
	r.mu.Lock()
	leftovers := r.leftovers
	r.leftovers = nil
	r.mu.Unlock()
	for _, left := range leftovers {
		switch {
		case !left.told:
			r.recoverWork(ctx, left.work)
		case r.cleanUp(ctx, left.work):
			r.finish(left.work)
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

// RecoverRestores drops what restores by hand left, also those for a proof, and leaves all else to who
// has the backup folder.
func (r *Runner) RecoverRestores(ctx context.Context) error {
	works, err := r.State.Abandoned()
	for _, work := range works {
		if (work.Restore != nil || work.Throwaway != "") && work.JobID == "" {
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
		r.finish(work, removalEntry(*work.Removal))
	case work.Restore != nil:
		r.recoverRestore(ctx, work)
	case work.JobID != "":
		log.Warn("a job was interrupted", "job", work.JobID)
		r.finish(work, resultEntry(Result{
			JobID: work.JobID, State: StateFailed, Error: errInterrupted.Error(), Failure: backup.FailureOther, FinishedAt: now,
		}))
	}
}

// recoverRestore ends a restore that was broken off. Where it was about to
// replace a database, the server says whether it has.
func (r *Runner) recoverRestore(ctx context.Context, work *Work) {
	kept, err := r.settleLocked(ctx, work.Restore.ID)
	if err != nil {
		r.Log.Warn("how a restore ended can't be told yet", "restore", work.Restore.ID, "error", err)
		r.leave(leftover{work: work})
		return
	}
	r.Log.Warn("a restore was interrupted", "target", work.Restore.Target, "in_place", kept != nil)
	result := Result{JobID: work.JobID, State: StateSucceeded, Outcome: outcomeOf(kept), FinishedAt: r.Now().UTC()}
	if kept == nil {
		result.State, result.Error, result.Failure = StateFailed, r.interruptedText(work), backup.FailureOther
	}
	var news []Entry
	if work.JobID != "" {
		news = append(news, resultEntry(result))
	}
	if kept == nil && !r.cleanUp(ctx, work) {
		work = nil // its record is needed until its database is dropped
	}
	r.finish(work, news...)
}

// settleLocked is settle for who does not hold the lock of what is kept.
func (r *Runner) settleLocked(ctx context.Context, restoreID string) (*Kept, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if kept, err := r.State.KeptOf(restoreID); err != nil || kept == nil {
		return nil, err
	}
	release, err := r.State.lockKept(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return r.settle(ctx, restoreID)
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
	if work.Restore.Replace {
		text += fmt.Sprintf("; the database %q that it was to replace was not touched", work.Restore.Target)
	} else {
		text += fmt.Sprintf("; if there is a database %q now, it is complete", work.Restore.Target)
	}
	return text
}
