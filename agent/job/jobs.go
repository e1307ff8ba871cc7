package job

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
)

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
	spec := job.Spec
	if spec == nil {
		spec = unknownSpec{}
	}
	record := state.Record{ID: "job-" + job.ID, JobID: job.ID}
	allowed, claimed, err := r.takes(ctx, job.ID, spec)
	record.Restore = claimed
	work := r.begin(record)
	log := r.Log.With("job", job.ID)
	log.Info("job begins", "kind", spec.Kind())

	result := state.Result{About: spec.about()}
	result.About.Kind, result.About.StartedAt = spec.Kind(), r.Now().UTC()
	if err == nil {
		err = spec.run(ctx, r, &task{id: job.ID, allowed: allowed, result: &result, progress: func(p backup.Progress) { r.progress(job.ID, p) }})
	}
	if errors.Is(err, errUnsettled) {
		log.Error("a job ended in the dark; it is looked at again when the server is back", "kind", spec.Kind(), "error", err)
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
		log.Error("job failed", "kind", spec.Kind(), "error", err)
	} else {
		log.Info("job succeeded", "kind", spec.Kind())
	}
	if err != nil && !r.cleanUp(ctx, work) {
		work = nil // its record is needed until its database is dropped
	}
	r.finish(work, state.ResultEntry(result))
}

// takes says whether a job makes sense, the host allows it, and what it claims, it has for itself.
func (r *Runner) takes(ctx context.Context, jobID string, spec Spec) (allowed policy.Policy, claimed *state.Restore, err error) {
	if err := spec.check(); err != nil {
		return allowed, nil, err
	}
	if allowed, err = r.permit(spec); err != nil {
		return allowed, nil, err
	}
	if claims, ok := spec.(claimer); ok {
		claimed, err = claims.claim(ctx, r, jobID)
	}
	return allowed, claimed, err
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
