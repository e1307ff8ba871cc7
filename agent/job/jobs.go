package job

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
)

// Job is what the control plane asks for. One of its specs is set.
type Job struct {
	ID      string
	Backup  *BackupSpec
	Restore *RestoreSpec
	Send    *SendSpec
	Hold    *HoldSpec
	Undo    *UndoSpec
	Preview *RestoreSpec
	Verify  *VerifySpec
}

// BackupSpec asks for a backup of one database, or of all that the agent covers.
type BackupSpec struct{ Database string }

// RestoreSpec asks to restore a stored backup into a database that must not
// exist, unless it is to be replaced.
type RestoreSpec struct {
	BackupID, Target string
	Replace          bool
	WithRoles        string  // as in backup.RestoreRequest
	TrustContent     bool    // likewise
	Source           *Source // nil where this agent has the backup
}

// UndoSpec asks to put the database back that a restore replaced.
type UndoSpec struct{ RestoreID string }

// JobProgress is how far a job is that is under way.
type JobProgress struct {
	ID string
	backup.Progress
}

// Phases of a job beside those of the backup package.
const (
	PhaseWait = "wait" // for its turn
	PhaseSend = "send"
)

type current struct{ progress backup.Progress }

// rememberedJobs bounds the memory of jobs that ended. An offer that crosses its
// result is a matter of moments.
const rememberedJobs = 1000

// Accept begins a job, unless its id is known: an offer may come twice. It does
// not wait. The job lives as long as ctx, which is the agent's, not a session's;
// its result goes to the journal.
func (r *Runner) Accept(ctx context.Context, job Job) {
	if !state.ValidJobID(job.ID) {
		r.Log.Error("a job was offered whose id is none", "id", fmt.Sprintf("%.60q", job.ID))
		return
	}
	// Looked up here and not by the job, for what comes next on the session may
	// be the acknowledgement that removes the entry.
	ended, untold := r.State.Journal.Results(job.ID)
	if ended {
		return // it ended before a restart, and the control plane will hear so
	}
	if untold >= maxUntold {
		r.Log.Error("a job was offered while the control plane takes no results; it is passed over", "id", job.ID, "untold", untold)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil || r.accepted[job.ID] != nil || r.finished[job.ID] {
		return
	}
	if len(r.accepted) >= maxJobs {
		r.Log.Error("a job was offered while more wait than an agent takes; it is passed over", "id", job.ID, "waiting", len(r.accepted))
		return // who asked is told by the control plane that the agent did not begin
	}
	r.accepted[job.ID] = &current{backup.Progress{Phase: PhaseWait}}
	ring(r.jobsChanged)
	r.jobs.Go(func() { r.do(ctx, job) })
}

// Jobs returns the jobs that are under way, by id. JobsChanged rings when there
// is something new.
func (r *Runner) Jobs() []JobProgress {
	r.mu.Lock()
	defer r.mu.Unlock()
	var jobs []JobProgress
	for id, job := range r.accepted {
		jobs = append(jobs, JobProgress{id, job.progress})
	}
	sort.Slice(jobs, func(a, b int) bool { return jobs[a].ID < jobs[b].ID })
	return jobs
}

// JobsChanged rings when a job was accepted or has made progress.
func (r *Runner) JobsChanged() <-chan struct{} { return r.jobsChanged }

// do runs a job from its record to the journal.
func (r *Runner) do(ctx context.Context, job Job) {
	defer r.forget(job.ID)
	record := state.Record{ID: "job-" + job.ID, JobID: job.ID}
	allowed, err := r.takes(ctx, job)
	if job.Restore != nil && err == nil {
		record.Restore = &state.Restore{ID: job.ID, Target: job.Restore.Target, Replace: job.Restore.Replace}
	}
	work := r.begin(record)
	log := r.Log.With("job", job.ID)
	log.Info("job begins", "kind", job.kind())

	result := state.Result{About: job.about(r.Now().UTC())}
	if err == nil {
		err = r.perform(ctx, job, allowed, &result)
	}
	if errors.Is(err, errUnsettled) {
		log.Error("a job ended in the dark; it is looked at again when the server is back", "kind", job.kind(), "error", err)
		r.leave(leftover{work: work})
		return
	}
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	result.JobID, result.State, result.FinishedAt = job.ID, state.StateSucceeded, r.Now().UTC()
	if err != nil {
		result.State, result.Error, result.Failure = state.StateFailed, err.Error(), backup.Failure(err)
		result.Checks = backup.FailedChecks(err)
		result.About.Words = postgres.Words(err)
		log.Error("job failed", "kind", job.kind(), "error", err)
	} else {
		log.Info("job succeeded", "kind", job.kind())
	}
	if job.Restore != nil && err != nil && !r.cleanUp(ctx, work) {
		work = nil // its record is needed until its database is dropped
	}
	r.finish(work, state.ResultEntry(result))
}

// takes says whether a job makes sense, the host allows it, and a restore has its id for itself. Nothing is recorded of a restore
// that is not taken, so that nobody cleans up after it.
func (r *Runner) takes(ctx context.Context, job Job) (policy.Policy, error) {
	if err := job.check(); err != nil {
		return policy.Policy{}, err
	}
	allowed, err := r.permit(job)
	if err == nil && job.Restore != nil {
		err = r.ownID(ctx, job.ID)
	}
	return allowed, err
}

// perform does the work, and adds to the result what it has beside its end.
func (r *Runner) perform(ctx context.Context, job Job, allowed policy.Policy, result *state.Result) error {
	switch {
	case job.Backup != nil:
		return r.performBackup(ctx, job)
	case job.Restore != nil:
		return r.performRestore(ctx, job, allowed, result)
	case job.Preview != nil:
		return r.performPreview(ctx, job, allowed, result)
	case job.Undo != nil:
		return r.performUndo(ctx, job, result)
	case job.Send != nil:
		return r.performSend(ctx, job)
	case job.Hold != nil:
		return r.performHold(job, allowed)
	default:
		return r.performVerify(ctx, job, result)
	}
}

// performBackup lets no more jobs wait for a turn beside the schedule's than there are turns, however many are asked for.
func (r *Runner) performBackup(ctx context.Context, job Job) error {
	release, err := acquire(ctx, r.askedSlots)
	if err != nil {
		return err
	}
	defer release()
	request := Request{Trigger: state.TriggerManual, JobID: job.ID, OnProgress: func(p backup.Progress) { r.progress(job.ID, p) }}
	if job.Backup.Database != "" {
		request.Databases = []string{job.Backup.Database}
	}
	return Failures(r.BackUp(ctx, request))
}

// Failures sums up what failed of several runs; nil where nothing did.
func Failures(outcomes []Outcome) error {
	var failed []error
	var texts []string
	for _, outcome := range outcomes {
		if outcome.Err != nil {
			failed = append(failed, outcome.Err)
			texts = append(texts, fmt.Sprintf("%q: %v", outcome.Run.Database, outcome.Err))
		}
	}
	if len(outcomes) == 1 || len(failed) == 0 {
		return errors.Join(failed...)
	}
	return fmt.Errorf("%d of %d databases failed: %s", len(failed), len(outcomes), strings.Join(texts, "; "))
}

func (r *Runner) progress(jobID string, p backup.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if job := r.accepted[jobID]; job != nil {
		job.progress = p
		ring(r.jobsChanged)
	}
}

// forget ends a job's time among those under way. Its id is remembered, lest an
// offer that was on its way begins it again.
func (r *Runner) forget(jobID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.accepted, jobID)
	if len(r.finished) >= rememberedJobs {
		clear(r.finished)
	}
	r.finished[jobID] = true
	ring(r.jobsChanged)
}

func (j Job) kind() string {
	switch {
	case j.Backup != nil:
		return "backup"
	case j.Restore != nil:
		return "restore"
	case j.Send != nil:
		return "send"
	case j.Hold != nil && j.Hold.Release:
		return "release"
	case j.Hold != nil:
		return "hold"
	case j.Undo != nil:
		return "undo"
	case j.Preview != nil:
		return "preview"
	case j.Verify != nil:
		return "verify"
	default:
		return "unknown"
	}
}

// about is what the history has of the job whatever becomes of it.
func (j Job) about(begun time.Time) state.About {
	a := state.About{Kind: j.kind(), StartedAt: begun}
	switch {
	case j.Backup != nil:
		a.Database = j.Backup.Database
	case j.Restore != nil:
		a.Database, a.BackupID = j.Restore.Target, j.Restore.BackupID
	case j.Preview != nil:
		a.Database, a.BackupID = j.Preview.Target, j.Preview.BackupID
	case j.Send != nil:
		a.BackupID = j.Send.BackupID
	case j.Hold != nil:
		a.BackupID = j.Hold.BackupID
	case j.Verify != nil:
		a.BackupID = j.Verify.BackupID
	}
	return a
}
