package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// keepRestore keeps what came of a restore beside its end, however often it is
// told: it changes when the restore is undone, or what it had replaced dropped.
func keepRestore(ctx context.Context, tx *sql.Tx, job fleet.Job, r fleet.JobResult) error {
	if len(r.Checks) > 0 {
		checks, err := json.Marshal(r.Checks)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO restores (job_id, checks) VALUES (?, ?)
			ON CONFLICT (job_id) DO UPDATE SET checks = excluded.checks`, job.ID, string(checks))
		if err != nil {
			return err
		}
	}
	if r.Restore == nil {
		return nil
	}
	// An undo tells of a restore, which must be of the same instance.
	_, err := tx.ExecContext(ctx, `INSERT INTO restores (job_id, kept_database, kept_until, undone_at)
		SELECT id, ?, ?, ? FROM jobs WHERE id = ? AND instance = ? AND kind = 'restore'
		ON CONFLICT (job_id) DO UPDATE SET kept_database = excluded.kept_database, kept_until = excluded.kept_until,
			undone_at = excluded.undone_at`,
		r.Restore.Kept, micros(r.Restore.KeptUntil), micros(r.Restore.UndoneAt), r.Restore.RestoreID, job.Instance)
	return err
}

// Restore returns what is known of the job of a restore or of a preview.
func (c *Catalog) Restore(ctx context.Context, job fleet.Job) (fleet.Restore, error) {
	restore := fleet.Restore{Job: job}
	var checks []byte
	err := c.db.QueryRowContext(ctx, `SELECT kept_database, kept_until, undone_at, checks FROM restores WHERE job_id = ?`, job.ID).
		Scan(&restore.Kept, instant{&restore.KeptUntil}, instant{&restore.UndoneAt}, &checks)
	if errors.Is(err, sql.ErrNoRows) {
		return restore, nil
	}
	if err != nil {
		return restore, err
	}
	return restore, json.Unmarshal(checks, &restore.Checks)
}

// Restores returns a page of restores, newest first, and the token of the next
// page.
func (c *Catalog) Restores(ctx context.Context, q JobQuery) ([]fleet.Restore, string, error) {
	q.Kind = fleet.JobRestore
	jobs, next, err := c.Jobs(ctx, q)
	if err != nil {
		return nil, "", err
	}
	restores := make([]fleet.Restore, len(jobs))
	for n, job := range jobs {
		if restores[n], err = c.Restore(ctx, job); err != nil {
			return nil, "", err
		}
	}
	return restores, next, nil
}
