package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"

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

// Phases of a job in addition to those of the backup package.
const (
	PhaseWait = "wait" // for its turn
	PhaseSend = "send"
)

// rememberedJobs bounds the memory of jobs that ended. An offer that crosses its
// result is a matter of moments.
const rememberedJobs = 1000

// Queue does the jobs that the control plane asks for, each once.
type Queue struct {
	journal   *state.Journal
	log       *slog.Logger
	clock     *Clock
	recorder  *recorder
	admission *admission
	orphans   *orphans
	workers   *workers

	jobs    sync.WaitGroup
	changed chan struct{} // holds one token once there is something new of the jobs

	mu       sync.Mutex
	accepted map[string]backup.Progress // jobs under way
	finished map[string]bool            // jobs that ended in this process's life
}

// Accept begins a job, unless its id is known: an offer may come twice. It does
// not wait. The job lives as long as ctx, which is the agent's, not a session's;
// its result goes to the journal.
func (q *Queue) Accept(ctx context.Context, job Job) {
	if !state.ValidJobID(job.ID) {
		q.log.Error("a job was offered whose id is none", "id", fmt.Sprintf("%.60q", job.ID))
		return
	}
	// Looked up here and not by the job, for what comes next on the session may
	// be the acknowledgement that removes the entry.
	ended, untold := q.journal.Results(job.ID)
	if ended {
		return // it ended before a restart, and the control plane will hear so
	}
	if untold >= maxUntold {
		q.log.Error("a job was offered while the control plane takes no results; it is passed over", "id", job.ID, "untold", untold)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, accepted := q.accepted[job.ID]; accepted || ctx.Err() != nil || q.finished[job.ID] {
		return
	}
	if len(q.accepted) >= maxJobs {
		q.log.Error("a job was offered while more wait than an agent takes; it is passed over", "id", job.ID, "waiting", len(q.accepted))
		return // who asked is told by the control plane that the agent did not begin
	}
	q.accepted[job.ID] = backup.Progress{Phase: PhaseWait}
	notify(q.changed)
	q.jobs.Go(func() { q.do(ctx, job) })
}

// Jobs returns the jobs that are under way, by id. Changed holds one token once there is something
// new.
func (q *Queue) Jobs() []JobProgress {
	q.mu.Lock()
	defer q.mu.Unlock()
	var jobs []JobProgress
	for id, progress := range q.accepted {
		jobs = append(jobs, JobProgress{id, progress})
	}
	sort.Slice(jobs, func(a, b int) bool { return jobs[a].ID < jobs[b].ID })
	return jobs
}

// Changed holds one token once a job was accepted or has made progress.
func (q *Queue) Changed() <-chan struct{} { return q.changed }

// wait returns when the jobs have ended that were accepted before ctx of Accept did.
func (q *Queue) wait() { q.jobs.Wait() }

// do runs a job from its record to the journal.
func (q *Queue) do(ctx context.Context, job Job) {
	defer q.forget(job.ID)
	spec := job.Spec
	if spec == nil {
		spec = unknownSpec{}
	}
	record := state.Record{ID: "job-" + job.ID, JobID: job.ID}
	allowed, claimed, err := q.takes(ctx, job.ID, spec)
	record.Restore = claimed
	work := q.recorder.begin(record)
	log := q.log.With("job", job.ID)
	log.Info("job begins", "kind", spec.Kind())

	result := state.Result{About: spec.about()}
	result.About.Kind, result.About.StartedAt = spec.Kind(), q.clock.Now().UTC()
	if err == nil {
		err = spec.run(ctx, q.workers, &task{id: job.ID, allowed: allowed, result: &result, progress: func(p backup.Progress) { q.progress(job.ID, p) }})
	}
	if errors.Is(err, errOutcomeUnknown) {
		log.Error("a job ended in the dark; it is looked at again when the server is back", "kind", spec.Kind(), "error", err)
		q.orphans.leave(orphan{work: work})
		return
	}
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	result.JobID, result.State, result.FinishedAt = job.ID, state.StateSucceeded, q.clock.Now().UTC()
	if err != nil {
		result.State, result.Error, result.Failure = state.StateFailed, err.Error(), backup.Failure(err)
		result.Checks = backup.FailedChecks(err)
		result.About.Words = postgres.Words(err)
		log.Error("job failed", "kind", spec.Kind(), "error", err)
	} else {
		log.Info("job succeeded", "kind", spec.Kind())
	}
	if err != nil && !q.orphans.cleanUp(ctx, work) {
		work = nil // its record is needed until its database is dropped
	}
	q.recorder.finish(work, state.ResultEntry(result))
}

// takes reports whether a job makes sense, the host allows it, and what it claims, it has for itself.
func (q *Queue) takes(ctx context.Context, jobID string, spec Spec) (allowed policy.Policy, claimed *state.Restore, err error) {
	if err := spec.check(); err != nil {
		return allowed, nil, err
	}
	if allowed, err = q.admission.permit(spec); err != nil {
		return allowed, nil, err
	}
	if claims, ok := spec.(claimer); ok {
		claimed, err = claims.claim(ctx, q.workers, jobID)
	}
	return allowed, claimed, err
}

func (q *Queue) progress(jobID string, p backup.Progress) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, underWay := q.accepted[jobID]; underWay {
		q.accepted[jobID] = p
		notify(q.changed)
	}
}

// forget ends a job's time among those under way. Its id is remembered, lest an
// offer that was on its way begins it again.
func (q *Queue) forget(jobID string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.accepted, jobID)
	if len(q.finished) >= rememberedJobs {
		clear(q.finished)
	}
	q.finished[jobID] = true
	notify(q.changed)
}
