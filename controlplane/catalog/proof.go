package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// recordFindings keeps what an agent's inventory says of a backup that is known.
// A scrub or a proof that the catalog has and the agent no longer remembers
// stays: its state folder may be a new one.
func recordFindings(ctx context.Context, tx *sql.Tx, b fleet.Backup) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE backups SET state = iif(state = 'removed', 'removed', iif(suspect = '', ?, 'damaged')), held = ?, hold_reason = ?, held_by = ?, damage = ?,
			scrubbed_at = nullif(max(coalesce(scrubbed_at, 0), coalesce(?, 0)), 0)
		WHERE id = ? AND instance = ?`,
		b.State, b.Held, b.HoldReason, b.HeldBy, b.Damage, micros(b.ScrubbedAt), b.ID, b.Instance)
	if err != nil || b.Proof.State == "" {
		return err
	}
	return recordProof(ctx, tx, b.Instance, b.ID, b.Proof)
}

// BackupScrubbed notes that an agent has read a backup's file again, and what was
// wrong with it, "" for nothing. What was told out of order changes nothing.
func (c *Catalog) BackupScrubbed(ctx context.Context, instance, id string, at time.Time, damage string) error {
	_, err := c.db.ExecContext(ctx, `
		UPDATE backups SET scrubbed_at = ?1, damage = ?2,
			state = CASE WHEN state IN ('removed', 'missing') THEN state WHEN ?2 <> '' OR suspect <> '' THEN 'damaged' ELSE 'present' END
		WHERE id = ?3 AND instance = ?4 AND coalesce(scrubbed_at, 0) <= ?1`, micros(at), damage, id, instance)
	return err
}

// BackupProved notes how a test restore of a backup ended.
func (c *Catalog) BackupProved(ctx context.Context, instance, id string, proof fleet.Proof) error {
	return c.within(ctx, func(tx *sql.Tx) error { return recordProof(ctx, tx, instance, id, proof) })
}

// recordProof keeps a proof unless a newer one is known.
func recordProof(ctx context.Context, tx *sql.Tx, instance, id string, proof fleet.Proof) error {
	content, err := json.Marshal(proof)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE backups SET proof = ?1, proof_state = ?2, proved_at = ?3
		WHERE id = ?4 AND instance = ?5 AND coalesce(proved_at, 0) <= ?3`,
		string(content), proof.State, micros(proof.FinishedAt), id, instance)
	return err
}

// takeHold makes the catalog agree with a hold or a release that an agent has
// made, together with the end of its job.
func takeHold(ctx context.Context, tx *sql.Tx, j fleet.Job) error {
	if j.State != fleet.JobSucceeded || (j.Kind != fleet.JobHold && j.Kind != fleet.JobRelease) {
		return nil
	}
	reason, by := j.Spec.Reason, j.RequestedBy
	if j.Kind == fleet.JobRelease {
		reason, by = "", ""
	}
	_, err := tx.ExecContext(ctx, `UPDATE backups SET held = ?, hold_reason = ?, held_by = ? WHERE id = ? AND instance = ?`,
		j.Kind == fleet.JobHold, reason, by, j.Spec.BackupID, j.Instance)
	return err
}

// damagedBackups leaves out what would be gone by now anyway, past its days.
func damagedBackups(ctx context.Context, q queryer, f *fleet.Facts, now time.Time) error {
	// SQLite takes the other columns of the row that has the max.
	var newest any
	return q.QueryRowContext(ctx, `SELECT count(*), coalesce(iif(damage = '', suspect, damage), ''), max(created_at) FROM backups
		WHERE instance = ? AND database = ? AND state = 'damaged' AND coalesce(retention_expires, 0) > ? AND created_at <= ?`,
		f.Instance, f.Database, micros(now), plausible(now)).Scan(&f.Damaged, &f.Damage, &newest)
}

// newestProof also finds how long a restore takes, by the newest that succeeded.
func newestProof(ctx context.Context, q queryer, f *fleet.Facts, _ time.Time) error {
	const proved = ` FROM backups WHERE instance = ? AND database = ? AND proved_at IS NOT NULL AND state <> 'removed'`
	newest, err := collect(ctx, q, scanBackup, `SELECT `+backupColumns+proved+` ORDER BY proved_at DESC LIMIT 1`, f.Instance, f.Database)
	if err != nil || len(newest) == 0 {
		return err
	}
	f.Proved = &newest[0]
	good, err := collect(ctx, q, scanBackup,
		`SELECT `+backupColumns+proved+` AND proof_state = 'succeeded' ORDER BY proved_at DESC LIMIT 1`, f.Instance, f.Database)
	if len(good) == 1 {
		f.RestoreTakes = good[0].Proof.RestoreTook
	}
	return err
}
