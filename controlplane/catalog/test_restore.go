package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// recordFindings keeps what an agent's inventory says of a backup that is known. A scrub or a test
// restore that the catalog has and the agent no longer remembers stays: its state folder may be a
// new one.
func recordFindings(ctx context.Context, tx *sql.Tx, b fleet.Backup) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE backups SET state = iif(state = 'removed', 'removed', iif(suspect = '', ?, 'damaged')), held = ?, hold_reason = ?, held_by = ?, damage = ?,
			scrubbed_at = nullif(max(coalesce(scrubbed_at, 0), coalesce(?, 0)), 0)
		WHERE id = ? AND instance = ?`,
		b.State, b.Held, b.HoldReason, b.HeldBy, b.Damage, micros(b.ScrubbedAt), b.ID, b.Instance)
	if err != nil || b.TestRestore.State == "" {
		return err
	}
	return recordTestRestore(ctx, tx, b.Instance, b.ID, b.TestRestore)
}

// RecordScrub records that an agent has read a backup's file again, and what was wrong with it, ""
// for nothing. What was told out of order changes nothing.
func (s Backups) RecordScrub(ctx context.Context, instance, id string, at time.Time, damage string) error {
	_, err := s.reports.ExecContext(ctx, `
		UPDATE backups SET scrubbed_at = ?1, damage = ?2,
			state = CASE WHEN state IN ('removed', 'missing') THEN state WHEN ?2 <> '' OR suspect <> '' THEN 'damaged' ELSE 'present' END
		WHERE id = ?3 AND instance = ?4 AND coalesce(scrubbed_at, 0) <= ?1`, micros(at), damage, id, instance)
	return err
}

// RecordTestRestore records how a test restore of a backup ended.
func (s Backups) RecordTestRestore(ctx context.Context, instance, id string, testRestore fleet.TestRestore) error {
	return s.reports.within(ctx, func(tx *sql.Tx) error { return recordTestRestore(ctx, tx, instance, id, testRestore) })
}

// recordTestRestore keeps a test restore unless a newer one is known.
func recordTestRestore(ctx context.Context, tx *sql.Tx, instance, id string, testRestore fleet.TestRestore) error {
	content, err := json.Marshal(testRestore)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE backups SET proof = ?1, proof_state = ?2, proved_at = ?3
		WHERE id = ?4 AND instance = ?5 AND coalesce(proved_at, 0) <= ?3`,
		string(content), testRestore.State, micros(testRestore.FinishedAt), id, instance)
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

// newestTestRestores also finds how long a restore takes, by the newest that succeeded. What a test
// restore has shown stays so when its backup has been removed since, past its days; a backup that
// failed and is gone is no worry any more.
func (l *look) newestTestRestores(ctx context.Context) error {
	names, err := list(l.names)
	if err != nil {
		return err
	}
	scan := func(r row) (b fleet.Backup, err error) {
		var testRestore []byte
		if err := r.Scan(&b.ID, &b.Database, &testRestore); err != nil {
			return b, err
		}
		b.Instance = l.instance
		err = json.Unmarshal(testRestore, &b.TestRestore)
		b.TestRestore = b.TestRestore.Bounded(shownBytes)
		return b, err
	}
	newest := func(condition, names string) ([]fleet.Backup, error) {
		return collect(ctx, l.q, scan, `SELECT id, database, proof FROM backups WHERE rowid IN (
			SELECT (SELECT rowid FROM backups WHERE instance = ?2 AND database = named.value AND `+ofDumps+` AND proved_at IS NOT NULL AND `+condition+`
				ORDER BY proved_at DESC LIMIT 1)
			FROM json_each(?1) AS named)`, names, l.instance)
	}
	tested, err := newest(`(state <> 'removed' OR proof_state = 'succeeded')`, names)
	if err != nil {
		return err
	}
	failed := []string{}
	for n, b := range tested {
		l.of[b.Database].TestRestored = &tested[n]
		if b.TestRestore.State == fleet.TestRestoreFailed {
			failed = append(failed, b.Database)
		}
		l.of[b.Database].RestoreTakes = b.TestRestore.RestoreTook
	}
	if len(failed) == 0 {
		return nil
	}
	if names, err = list(failed); err != nil {
		return err
	}
	for _, database := range failed {
		l.of[database].RestoreTakes = 0
	}
	good, err := newest(`proof_state = 'succeeded'`, names)
	for _, b := range good {
		l.of[b.Database].RestoreTakes = b.TestRestore.RestoreTook
	}
	return err
}
