package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

// cleanUpTime bounds the dropping of a temporary database after the work that
// made it was cancelled.
const cleanUpTime = 5 * time.Second

func (r *Runner) performRestore(ctx context.Context, spec RestoreSpec, task *task) error {
	request, origin, done, err := r.restoreRequest(ctx, task, spec)
	if err != nil {
		return err
	}
	defer done()
	if request.Confined, err = r.admitAsked(ctx, task.allowed, origin, *request.Manifest); err != nil {
		return err
	}
	request.RestoreID, request.Origin = task.id, origin.Kind
	request.OnProgress = task.progress
	if task.result.Warnings, err = r.restore(ctx, request, task.id); err != nil {
		return err
	}
	kept, err := r.State.Displaced.Of(task.id)
	if err != nil {
		r.Log.Error("what a restore replaced can't be told", "restore", task.id, "error", err)
	}
	task.result.Outcome = kept.Outcome()
	return nil
}

// ownID refuses a restore by an id that stands for something already: a restore drops the database that is named after its id, and
// writes anew what is known of what it has replaced. The control plane gives the ids.
func (r *Runner) ownID(ctx context.Context, id string) error {
	kept, err := r.State.Displaced.Of(id)
	if err != nil {
		return err
	}
	if kept != nil {
		return fmt.Errorf("%w: there was a restore %s, and what it replaced is kept", errSpec, id)
	}
	taken, err := r.Engine.Instance.DatabaseExists(ctx, backup.TemporaryDatabase(id))
	if err == nil && taken {
		err = fmt.Errorf("%w: there is a database %q already, which a restore by this id would drop", errSpec, backup.TemporaryDatabase(id))
	}
	return err
}

// restoreRequest finds the stored backup of a spec, or fetches another instance's,
// and says who made it. It is in use until done.
func (r *Runner) restoreRequest(ctx context.Context, task *task, spec RestoreSpec) (request backup.RestoreRequest, origin backup.Origin, done func(), err error) {
	if spec.Source != nil {
		return r.fetchedRequest(ctx, task, spec)
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
		WithRoles: spec.WithRoles, TrustContent: spec.TrustContent,
	}, origin, r.use(stored.ID), nil
}

func (r *Runner) performPreview(ctx context.Context, spec RestoreSpec, task *task) error {
	request, origin, done, err := r.restoreRequest(ctx, task, spec)
	if err != nil {
		return err
	}
	defer done()
	request.OnProgress = task.progress
	request.Confined, err = r.admitAsked(ctx, task.allowed, origin, *request.Manifest)
	task.result.Checks = append(r.Engine.Preview(ctx, request), backup.OriginCheck(origin, request.Confined, err))
	task.result.Checks = append(task.result.Checks, r.proofCheck(request)...)
	return context.Cause(ctx)
}

// proofCheck is what the newest test restore of a stored backup foretells, in a list; an empty one where nothing is known
// of the file.
func (r *Runner) proofCheck(request backup.RestoreRequest) []backup.Check {
	if !state.ValidID(request.Manifest.ID) {
		return nil
	}
	known, err := r.State.Checks.Of(request.Manifest.ID)
	if err != nil {
		r.Log.Error("what is known of a backup can't be read", "backup", request.Manifest.ID, "error", err)
		return nil
	}
	return []backup.Check{backup.ProofCheck(known.Proof, request.TrustContent)}
}

// Preview looks ahead to a restore of a file of some origin, of which somebody
// may say more.
func (r *Runner) Preview(ctx context.Context, request backup.RestoreRequest, origin backup.Origin, consent Consent) []backup.Check {
	var err error
	request.Confined, err = r.admit(ctx, origin, consent)
	checks := append(r.Engine.Preview(ctx, request), backup.OriginCheck(origin, request.Confined, err))
	if request.Manifest == nil || !origin.Ours() {
		return checks // another's manifest may name the proof of one of ours
	}
	return append(checks, r.proofCheck(request)...)
}

// RestoreFile restores a file by hand, without a job, and returns the restore's
// id and what the restored database lacks. A record of it makes sure that its
// temporary database goes, whatever happens. By its origin, and what somebody says
// of that, the load is confined or not.
func (r *Runner) RestoreFile(ctx context.Context, request backup.RestoreRequest, origin backup.Origin, consent Consent) (id string, lacks []string, err error) {
	if request.Confined, err = r.admit(ctx, origin, consent); err != nil {
		return "", nil, err
	}
	request.RestoreID, request.Origin = newID(), origin.Kind
	work := r.begin(state.Record{
		ID:      "restore-" + request.RestoreID,
		Restore: &state.Restore{ID: request.RestoreID, Target: request.Target, Replace: request.Replace},
	})
	begun := r.Now().UTC()
	lacks, err = r.restore(ctx, request, "")
	ended := state.Ended{Kind: "restore", ID: request.RestoreID, Database: request.Target, StartedAt: begun, Warnings: lacks}
	if request.Manifest != nil && origin.Ours() { // what else a manifest says, may be another's
		ended.BackupID = request.Manifest.ID
	}
	r.rememberEnd(ended, err)
	if errors.Is(err, errUnsettled) || err != nil && !r.cleanUp(ctx, work) {
		return request.RestoreID, nil, err // the next start takes it up
	}
	r.finish(work)
	return request.RestoreID, lacks, err
}

// restore also returns what the restored database lacks; nothing where there is none.
func (r *Runner) restore(ctx context.Context, request backup.RestoreRequest, jobID string) ([]string, error) {
	release, err := acquire(ctx, r.restoreSlots)
	if err != nil {
		return nil, err
	}
	defer release()
	var lacks warnings
	request.OnWarning = func(text string) {
		r.Log.Warn("the restored database lacks something", "target", request.Target, "what", text)
		lacks.add(text)
	}
	tell := request.OnRoles
	request.OnRoles = func(roles []string) {
		r.Log.Info("made the roles that the restored database needs", "target", request.Target, "roles", strings.Join(roles, ", "))
		if tell != nil {
			tell(roles)
		}
	}
	exchange := r.watchExchange(ctx, &request, jobID)
	err = exchange.end(ctx, r.Engine.Restore(ctx, request))
	switch {
	case err != nil && ctx.Err() != nil && !errors.Is(err, errUnsettled):
		return nil, errInterrupted
	case err != nil:
		return nil, err
	}
	return lacks.texts(), nil
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

func (r *Runner) isInUse(backupID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inUse[backupID] > 0
}

// cleanUp drops what a broken restore left. Where the server is not there for
// it, the work is kept for later, and the answer is false.
func (r *Runner) cleanUp(ctx context.Context, work *state.Work) bool {
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
	work *state.Work
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
