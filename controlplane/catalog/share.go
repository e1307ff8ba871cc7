package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// SetShare sets what each agent may hold; before the catalog is used. Without it, that is
// fleet.DefaultShare.
func (c *Catalog) SetShare(s fleet.Share) { c.share = s }

// Share is what each agent may hold.
func (c *Catalog) Share() fleet.Share { return c.share }

// RecordRefusal records what was not taken of what an agent said.
func (s Agents) RecordRefusal(ctx context.Context, name string, r fleet.Refusal) error {
	_, err := s.reports.ExecContext(ctx,
		`UPDATE agents SET refused = ?, refused_at = ?, refused_count = iif(coalesce(refused_at, 0) < ?, 0, refused_count) + ? WHERE name = ?`,
		r.Text, micros(r.At), micros(r.At.Add(-fleet.RefusedFor)), r.Count, name)
	return err
}

// overShare is what an agent is told, in its health, that has used up its share.
func overShare(what string, args ...any) error {
	return fleet.NewProblem(fleet.ErrDenied, what+" are as many as one agent may have here", args...)
}

// roomForDatabase refuses a name that is one too many. It looks before the writer
// is asked for: many names take a while to count.
func (s *shared) roomForDatabase(ctx context.Context, instance, database string) error {
	var known bool
	err := s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM backups WHERE instance = ?1 AND database = ?2)
		OR EXISTS (SELECT 1 FROM runs WHERE instance = ?1 AND database = ?2)`, instance, database).Scan(&known)
	if err != nil || known {
		return err
	}
	// Each name is found by the one before it: there are few names and many rows.
	var names int
	err = s.db.QueryRowContext(ctx, `
		WITH RECURSIVE b (name) AS (
			SELECT min(database) FROM backups WHERE instance = ?1
			UNION ALL SELECT (SELECT min(database) FROM backups WHERE instance = ?1 AND database > b.name) FROM b WHERE b.name IS NOT NULL),
		r (name) AS (
			SELECT min(database) FROM runs WHERE instance = ?1
			UNION ALL SELECT (SELECT min(database) FROM runs WHERE instance = ?1 AND database > r.name) FROM r WHERE r.name IS NOT NULL)
		SELECT count(*) FROM (SELECT name FROM b WHERE name IS NOT NULL UNION SELECT name FROM r WHERE name IS NOT NULL)`, instance).Scan(&names)
	if err == nil && names >= s.share.Databases {
		err = overShare("the names of %d databases with backups or runs", names)
	}
	return err
}

// held is what an agent holds.
func held(ctx context.Context, q queryer, instance string) (h fleet.Share, err error) {
	err = q.QueryRowContext(ctx, `SELECT backups, runs, bytes FROM shares WHERE instance = ?`, instance).Scan(&h.Backups, &h.Runs, &h.Bytes)
	return h, missing(err, "agent %q", instance)
}

// roomForBackup refuses a backup that is not known yet and one too many.
func (s *shared) roomForBackup(ctx context.Context, tx *sql.Tx, instance, id string, bytes int) error {
	var known bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM backups WHERE id = ?)`, id).Scan(&known)
	if err != nil || known {
		return err
	}
	h, err := held(ctx, tx, instance)
	switch {
	case err != nil:
		return err
	case h.Backups >= s.share.Backups:
		return overShare("%d backups", h.Backups)
	case h.Bytes+int64(bytes) > s.share.Bytes:
		return overShare("%d bytes of manifests and errors", h.Bytes)
	}
	return nil
}

// roomForRun makes room for a run that is not known yet: the oldest ones go. If there is none it is
// refused.
func (s *shared) roomForRun(ctx context.Context, tx *sql.Tx, run fleet.Run, bytes int) error {
	var known bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM runs WHERE id = ?)`, run.ID).Scan(&known)
	if err != nil || known {
		return err
	}
	if run.State == fleet.RunRunning {
		var running int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM runs WHERE instance = ? AND state = 'running'`, run.Instance).Scan(&running)
		if err == nil && running >= fleet.RunsUnderWay {
			err = overShare("%d runs under way", running)
		}
		if err != nil {
			return err
		}
	}
	h, err := held(ctx, tx, run.Instance)
	if err != nil || (h.Runs < s.share.Runs && h.Bytes+int64(bytes) <= s.share.Bytes) {
		return err
	}
	gone, err := pruneRuns(ctx, tx, run.Instance, time.Time{}, runsMakeRoom)
	if err == nil && gone == 0 {
		err = overShare("%d runs, and %d bytes of manifests and errors", h.Runs, h.Bytes)
	}
	return err
}

// runsMakeRoom is how many of the oldest runs make room for one.
const runsMakeRoom = 2
