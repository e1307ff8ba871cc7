package job

import (
	"context"
	"errors"
	"log/slog"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
)

// do does a job: it is begun, run and settled, once each. A job that may not begin is settled too, as
// one that failed.
func (q *Queue) do(ctx context.Context, job Job) {
	defer q.forget(job.ID)
	begun, err := q.begin(ctx, job)
	if err == nil {
		err = begun.spec.run(ctx, q.workers, &begun.task)
	}
	q.settle(ctx, begun, err)
}

// begun is a job that has a record, by which it is found again after a crash.
type begun struct {
	spec   Spec
	task   task
	result state.Result
	work   *state.Work
	log    *slog.Logger
}

// begin takes a job on and records it. After an error, which says why the job may not run, it is
// recorded too, and only to be settled.
func (q *Queue) begin(ctx context.Context, job Job) (*begun, error) {
	b := &begun{spec: job.Spec, log: q.log.With("job", job.ID)}
	if b.spec == nil {
		b.spec = unknownSpec{}
	}
	allowed, claimed, err := q.takes(ctx, job.ID, b.spec)
	b.work = q.recorder.begin(state.Record{ID: "job-" + job.ID, JobID: job.ID, Restore: claimed})
	b.log.Info("job begins", "kind", b.spec.Kind())
	b.result = state.Result{JobID: job.ID, About: b.spec.about()}
	b.result.About.Kind, b.result.About.StartedAt = b.spec.Kind(), q.clock.Now().UTC()
	b.task = task{id: job.ID, allowed: allowed, result: &b.result, progress: func(p backup.Progress) { q.progress(job.ID, p) }}
	return b, err
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

// settle journals how a job ended, and cleans up after one that failed. A job whose end nobody knows
// yet is left to those who look when the server is back.
func (q *Queue) settle(ctx context.Context, b *begun, err error) {
	if errors.Is(err, errOutcomeUnknown) {
		b.log.Error("how a job ended is not known; it is looked at again when the server is back", "kind", b.spec.Kind(), "error", err)
		q.orphans.leave(orphan{work: b.work})
		return
	}
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	b.result.State, b.result.FinishedAt = state.StateSucceeded, q.clock.Now().UTC()
	if err != nil {
		b.result.State, b.result.Error, b.result.Failure = state.StateFailed, err.Error(), backup.Failure(err)
		b.result.Checks = backup.FailedChecks(err)
		b.result.About.Words = postgres.Words(err)
		b.log.Error("job failed", "kind", b.spec.Kind(), "error", err)
	} else {
		b.log.Info("job succeeded", "kind", b.spec.Kind())
	}
	work := b.work
	if err != nil && !q.orphans.cleanUp(ctx, work) {
		work = nil // its record is needed until its database is dropped
	}
	q.recorder.finish(work, state.ResultEntry(b.result))
}
