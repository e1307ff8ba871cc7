package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const jobColumns = `id, request_id, kind, instance, spec, state, requested_by, created_at, started_at, finished_at, deadline,
	error, failure, phase, done_bytes, total_bytes, done_objects, total_objects, audit_sequence`

func scanJob(r row) (j fleet.Job, err error) {
	var spec []byte
	err = r.Scan(&j.ID, &j.RequestID, &j.Kind, &j.Instance, &spec, &j.State, &j.RequestedBy, instant{&j.CreatedAt},
		instant{&j.StartedAt}, instant{&j.FinishedAt}, instant{&j.Deadline}, &j.Error, &j.Failure,
		&j.Progress.Phase, &j.Progress.DoneBytes, &j.Progress.TotalBytes, &j.Progress.DoneObjects, &j.Progress.TotalObjects, &j.AuditSequence)
	if err != nil {
		return j, err
	}
	return j, json.Unmarshal(spec, &j.Spec)
}

// ByRequest returns the job that a request id of a person led to, or
// fleet.ErrNotFound.
func (s Jobs) ByRequest(ctx context.Context, requestedBy, requestID string) (fleet.Job, error) {
	j, err := scanJob(s.db.QueryRowContext(ctx,
		`SELECT `+jobColumns+` FROM jobs WHERE requested_by = ? AND request_id = ? AND request_id <> ''`, requestedBy, requestID))
	return j, missing(err, "job for request %q", requestID)
}

// Create keeps a new job as queued, unless the same person's request id has
// led to one already: then that one is returned, as it is now.
func (s Jobs) Create(ctx context.Context, j fleet.Job) (fleet.Job, error) {
	spec, err := json.Marshal(j.Spec)
	if err != nil {
		return j, err
	}
	j.State = fleet.JobQueued
	result, err := s.db.ExecContext(ctx, `
		INSERT INTO jobs (id, request_id, kind, instance, spec, state, requested_by, created_at, deadline, audit_sequence)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (requested_by, request_id) WHERE request_id <> '' DO NOTHING`,
		j.ID, j.RequestID, j.Kind, j.Instance, string(spec), j.State, j.RequestedBy, micros(j.CreatedAt), micros(j.Deadline), j.AuditSequence)
	if err != nil {
		return j, err
	}
	if created, err := result.RowsAffected(); err != nil || created == 1 {
		return j, err
	}
	return s.ByRequest(ctx, j.RequestedBy, j.RequestID)
}

// Get returns one job, or fleet.ErrNotFound.
func (s Jobs) Get(ctx context.Context, id string) (fleet.Job, error) {
	j, err := scanJob(s.db.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM jobs WHERE id = ?`, id))
	return j, missing(err, "job %q", id)
}

// Due returns the jobs that an agent has yet to begin, oldest first.
func (s Jobs) Due(ctx context.Context, instance string, now time.Time) ([]fleet.Job, error) {
	return collect(ctx, s.db, scanJob, `SELECT `+jobColumns+` FROM jobs
		WHERE instance = ? AND state IN ('queued', 'offered') AND deadline > ? ORDER BY created_at, id`, instance, micros(now))
}

// Running returns the ids of the jobs that an agent has begun and not
// finished, as far as the catalog knows.
func (s Jobs) Running(ctx context.Context, instance string) ([]string, error) {
	scan := func(r row) (id string, err error) { return id, r.Scan(&id) }
	return collect(ctx, s.db, scan, `SELECT id FROM jobs WHERE instance = ? AND state = 'running'`, instance)
}

// RecordOffer records that an agent is about to be told of a job. If the job has ended before, it
// is not to be told: fleet.ErrConflict.
func (s Jobs) RecordOffer(ctx context.Context, id string) error {
	result, err := s.reports.ExecContext(ctx, `UPDATE jobs SET state = 'offered' WHERE id = ? AND state IN ('queued', 'offered')`, id)
	return changedOne(result, err, "job %s has ended before it was offered", id)
}

// CancelQueued ends the jobs of a requester that no agent was told of yet, and
// returns their ids.
func (s Jobs) CancelQueued(ctx context.Context, requestedBy, why string, now time.Time) (ids []string, err error) {
	err = s.within(ctx, func(tx *sql.Tx) error {
		queued, err := collect(ctx, tx, scanJob, `SELECT `+jobColumns+` FROM jobs WHERE requested_by = ? AND state = 'queued'`, requestedBy)
		if err != nil {
			return err
		}
		for _, job := range queued {
			_, err := tx.ExecContext(ctx, `UPDATE jobs SET state = 'cancelled', error = ?, failure = 'failed', finished_at = ? WHERE id = ?`, why, micros(now), job.ID)
			if err == nil && job.AuditSequence != 0 {
				err = completeAudit(ctx, tx, job.AuditSequence, chain.OutcomeFailed, "job "+job.ID+" cancelled: "+why, now)
			}
			if err != nil {
				return err
			}
			ids = append(ids, job.ID)
		}
		return nil
	})
	return ids, err
}

// RecordProgress records that an agent works on a job, and how far it is. It changes nothing once
// the job has ended, nor for a job of another instance.
func (s Jobs) RecordProgress(ctx context.Context, instance, id string, p fleet.Progress, now time.Time) error {
	_, err := s.reports.ExecContext(ctx, `
		UPDATE jobs SET state = 'running', started_at = coalesce(started_at, ?), phase = ?, done_bytes = ?, total_bytes = ?,
			done_objects = ?, total_objects = ?
		WHERE id = ? AND instance = ? AND state IN ('queued', 'offered', 'running')`,
		micros(now), p.Phase, p.DoneBytes, p.TotalBytes, p.DoneObjects, p.TotalObjects, id, instance)
	return err
}

// TakeFetch records that the backup of a restore on another instance is about to leave for it. It
// does so once: a second time is fleet.ErrConflict.
func (s Jobs) TakeFetch(ctx context.Context, restoreID string, now time.Time) error {
	result, err := s.db.ExecContext(ctx, `UPDATE jobs SET fetched_at = ? WHERE id = ? AND fetched_at IS NULL`, micros(now), restoreID)
	return changedOne(result, err, fetchedBefore, restoreID)
}

const fetchedBefore = "the backup for the restore %s was fetched before; it leaves its instance once for each restore"

// CheckFetch returns fleet.ErrConflict if TakeFetch would.
func (s Jobs) CheckFetch(ctx context.Context, restoreID string) error {
	var fetched bool
	err := s.db.QueryRowContext(ctx, `SELECT fetched_at IS NOT NULL FROM jobs WHERE id = ?`, restoreID).Scan(&fetched)
	if err == nil && fetched {
		return fleet.NewProblem(fleet.ErrConflict, fetchedBefore, restoreID)
	}
	return missing(err, "job %q", restoreID)
}

// Finish notes how a job ended, once: if it has ended before, only "lost" gives way. The audit
// log's entry of its start is completed in the same transaction. It returns the job as it is now,
// or fleet.ErrNotFound for a job that the instance does not have.
func (s Jobs) Finish(ctx context.Context, instance, id string, r fleet.JobResult, now time.Time) (fleet.Job, error) {
	var job fleet.Job
	err := s.reports.within(ctx, func(tx *sql.Tx) error {
		var err error
		job, err = scanJob(tx.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM jobs WHERE id = ? AND instance = ?`, id, instance))
		if err != nil {
			return missing(err, "job %q of instance %s", id, instance)
		}
		if err := keepRestore(ctx, tx, job, r); err != nil {
			return err
		}
		if job.State.Final() && (job.State != fleet.JobLost || r.State == fleet.JobLost) {
			return nil
		}
		job.State, job.Error, job.Failure, job.FinishedAt = r.State, r.Error, r.Failure, r.FinishedAt
		if job.FinishedAt.Before(job.CreatedAt) {
			job.FinishedAt = job.CreatedAt // by a clock that is behind; it would be pruned at once
		}
		_, err = tx.ExecContext(ctx, `UPDATE jobs SET state = ?, error = ?, failure = ?, finished_at = ? WHERE id = ?`,
			r.State, r.Error, r.Failure, micros(job.FinishedAt), id)
		if err != nil {
			return err
		}
		if err := takeHold(ctx, tx, job); err != nil || job.AuditSequence == 0 {
			return err
		}
		detail, err := jobDetail(ctx, tx, job)
		if err != nil {
			return err
		}
		return completeAudit(ctx, tx, job.AuditSequence, outcome(r), detail, now)
	})
	return job, err
}

func outcome(r fleet.JobResult) string {
	if r.State == fleet.JobSucceeded {
		return chain.OutcomeSucceeded
	}
	return chain.OutcomeFailed
}

// Overdue returns the jobs that nobody should wait for any longer: not begun by their deadline, or
// running on an agent that was not heard from since silentSince.
func (s Jobs) Overdue(ctx context.Context, now, silentSince time.Time) ([]fleet.Job, error) {
	return collect(ctx, s.db, scanJob, `SELECT `+jobColumns+` FROM jobs
		WHERE (state IN ('queued', 'offered') AND deadline <= ?)
		   OR (state = 'running' AND coalesce((SELECT last_seen_at FROM agents WHERE name = jobs.instance), 0) < ?)
		ORDER BY created_at`, micros(now), micros(silentSince))
}
