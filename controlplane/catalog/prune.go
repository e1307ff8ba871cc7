package catalog

import (
	"context"
	"database/sql"
	"math"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Prune deletes what is older than it is kept for, and that nothing rests on any longer, and
// returns how many rows those were. What was counted is told then. Each transaction deletes a few
// hundred. The audit log is never pruned.
func (c *Catalog) Prune(ctx context.Context, keep fleet.Keep, now time.Time) (pruned int, err error) {
	agents, err := c.Agents.List(ctx, nil)
	if err != nil {
		return 0, err
	}
	steps := []func(*sql.Tx) (int, error){
		func(tx *sql.Tx) (int, error) { return pruneJobs(ctx, tx, now.Add(-keep.Jobs), now) },
		func(tx *sql.Tx) (int, error) { return pruneRemoved(ctx, tx, now.Add(-keep.Removed)) },
		func(tx *sql.Tx) (int, error) { return pruneApprovals(ctx, tx, now.Add(-keep.Jobs)) },
		func(tx *sql.Tx) (int, error) { return pruneInvites(ctx, tx, now.Add(-keep.Invites)) },
	}
	for _, agent := range agents {
		steps = append(steps, func(tx *sql.Tx) (int, error) { return 0, tellCounted(ctx, tx, agent.Name, now) })
		steps = append(steps, func(tx *sql.Tx) (int, error) { return pruneRuns(ctx, tx, agent.Name, now.Add(-keep.Runs), reportRows) })
	}
	for _, step := range steps {
		for gone := reportRows; gone == reportRows; pruned += gone {
			err := c.reports.within(ctx, func(tx *sql.Tx) (err error) {
				gone, err = step(tx)
				return err
			})
			if err != nil {
				return pruned, err
			}
		}
	}
	return pruned, nil
}

func deleted(result sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// pruneRuns deletes the oldest runs of an instance, those that began before a moment if one is
// given. What health evaluates stays: what is under way, and of each database the run that ended
// last.
func pruneRuns(ctx context.Context, tx *sql.Tx, instance string, before time.Time, most int) (int, error) {
	began := int64(math.MaxInt64)
	if !before.IsZero() {
		began = before.UnixMicro()
	}
	return deleted(tx.ExecContext(ctx, `DELETE FROM runs WHERE rowid IN (
		SELECT rowid FROM runs AS old INDEXED BY runs_by_age WHERE instance = ?1 AND started_at < ?2 AND state <> 'running'
			AND rowid <> (SELECT rowid FROM runs WHERE instance = old.instance AND database = old.database AND state <> 'running' ORDER BY finished_at DESC LIMIT 1)
		ORDER BY started_at LIMIT ?3)`, instance, began, most))
}

// pruneJobs deletes jobs that have ended. The restore of a database that replaced
// another stays for as long as it can be undone.
func pruneJobs(ctx context.Context, tx *sql.Tx, before, now time.Time) (int, error) {
	const old = `SELECT id FROM jobs WHERE finished_at < ?1 AND state IN ('succeeded', 'failed', 'cancelled', 'lost') AND NOT EXISTS (
			SELECT 1 FROM restores WHERE job_id = jobs.id AND kept_database <> '' AND (kept_until IS NULL OR kept_until > ?2))
		ORDER BY finished_at LIMIT ?3`
	scan := func(r row) (id string, err error) { return id, r.Scan(&id) }
	ids, err := collect(ctx, tx, scan, old, micros(before), micros(now), reportRows)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	named, err := list(ids)
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM restores WHERE job_id IN (SELECT value FROM json_each(?))`, named); err != nil {
		return 0, err
	}
	return deleted(tx.ExecContext(ctx, `DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?))`, named))
}

// pruneRemoved deletes backups that were told to be removed before a moment, whatever time the
// agent reports them. What others are held against stays: the newest of each chain of signatures,
// and the test restores that health evaluates a database by.
func pruneRemoved(ctx context.Context, tx *sql.Tx, before time.Time) (int, error) {
	return deleted(tx.ExecContext(ctx, `DELETE FROM backups WHERE rowid IN (
		SELECT rowid FROM backups AS old INDEXED BY backups_by_removal WHERE state = 'removed' AND removal_told_at < ?1
			AND (sequence = 0 OR suspect <> '' OR sequence < (SELECT max(sequence) FROM backups
				WHERE instance = old.instance AND database = old.database AND kind = old.kind AND subject = old.subject AND signed_by = old.signed_by AND sequence > 0 AND suspect = ''))
			AND (proved_at IS NULL OR proof_state <> 'succeeded' OR proved_at < (SELECT max(proved_at) FROM backups
				WHERE instance = old.instance AND database = old.database AND kind = old.kind AND proved_at IS NOT NULL AND proof_state = 'succeeded'))
		ORDER BY removal_told_at LIMIT ?2)`, micros(before), reportRows))
}

// pruneApprovals deletes requests that can no longer have an effect.
func pruneApprovals(ctx context.Context, tx *sql.Tx, before time.Time) (int, error) {
	return deleted(tx.ExecContext(ctx, `DELETE FROM approvals WHERE rowid IN (
		SELECT rowid FROM approvals WHERE state IN ('used', 'denied', 'expired', 'void') AND created_at < ?1
			AND coalesce(used_at, decided_at, expires_at) < ?1 LIMIT ?2)`, micros(before), reportRows))
}

// pruneInvites deletes invites that were used or have expired. Until then, anyone who comes with a
// used one again is told so, and is in the audit log.
func pruneInvites(ctx context.Context, tx *sql.Tx, before time.Time) (int, error) {
	return deleted(tx.ExecContext(ctx, `DELETE FROM invites WHERE rowid IN (
		SELECT rowid FROM invites WHERE expires_at < ?1 LIMIT ?2)`, micros(before), reportRows))
}
