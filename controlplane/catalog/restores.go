package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// keepRestore keeps what came of a restore in addition to its end, however often it is told: it
// changes when the restore is undone, or what it had replaced dropped.
func keepRestore(ctx context.Context, tx *sql.Tx, job fleet.Job, r fleet.JobResult) error {
	if err := keepLists(ctx, tx, job.ID, r); err != nil {
		return err
	}
	if r.Restore == nil {
		return nil
	}
	// An undo reports a restore, which must be of the same instance.
	_, err := tx.ExecContext(ctx, `INSERT INTO restores (job_id, kept_database, kept_until, undone_at)
		SELECT id, ?, ?, ? FROM jobs WHERE id = ? AND instance = ? AND kind = 'restore'
		ON CONFLICT (job_id) DO UPDATE SET kept_database = excluded.kept_database, kept_until = excluded.kept_until,
			undone_at = excluded.undone_at`,
		r.Restore.Displaced, micros(r.Restore.DisplacedUntil), micros(r.Restore.UndoneAt), r.Restore.RestoreID, job.Instance)
	return err
}

// keepLists keeps those lists that say something: what is told later says nothing of them.
func keepLists(ctx context.Context, tx *sql.Tx, job string, r fleet.JobResult) error {
	if len(r.Checks) == 0 && len(r.Warnings) == 0 {
		return nil
	}
	checks, err := json.Marshal(r.Checks)
	if err != nil {
		return err
	}
	warnings, err := json.Marshal(r.Warnings)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO restores (job_id, checks, warnings) VALUES (?1, ?2, ?3) ON CONFLICT (job_id) DO UPDATE
		SET checks = iif(excluded.checks = 'null', checks, excluded.checks), warnings = iif(excluded.warnings = 'null', warnings, excluded.warnings)`,
		job, string(checks), string(warnings))
	return err
}

const restoreColumns = jobColumns + `, coalesce(kept_database, ''), kept_until, undone_at, coalesce(checks, '[]'), coalesce(warnings, '[]')`

func scanRestore(r row) (restore fleet.Restore, err error) {
	var checks, warnings []byte
	restore.Job, err = scanJob(also{r, []any{&restore.Displaced, instant{&restore.DisplacedUntil}, instant{&restore.UndoneAt}, &checks, &warnings}})
	if err != nil {
		return restore, err
	}
	return restore, errors.Join(json.Unmarshal(checks, &restore.Checks), json.Unmarshal(warnings, &restore.Warnings))
}

// also is a row of which more is scanned than its scanner asks for.
type also struct {
	row
	more []any
}

// Scan implements row.
func (a also) Scan(columns ...any) error { return a.row.Scan(append(columns, a.more...)...) }

// Get returns the job of a restore or of a preview, or any other, and what is
// known of it; or fleet.ErrNotFound.
func (s Restores) Get(ctx context.Context, id string) (fleet.Restore, error) {
	restore, err := scanRestore(s.db.QueryRowContext(ctx, `SELECT `+restoreColumns+` FROM jobs LEFT JOIN restores ON job_id = id WHERE id = ?`, id))
	return restore, missing(err, "job %q", id)
}

// OfKind returns a job of one of the kinds, and what came of it; or
// fleet.ErrNotFound.
func (s Restores) OfKind(ctx context.Context, id string, kinds ...fleet.JobKind) (fleet.Restore, error) {
	restore, err := s.Get(ctx, id)
	if errors.Is(err, fleet.ErrNotFound) || err == nil && !slices.Contains(kinds, restore.Kind) {
		err = fleet.NewProblem(fleet.ErrNotFound, "there is no restore %q", id)
	}
	if err != nil {
		return fleet.Restore{}, err
	}
	return restore, nil
}

// RestoreQuery selects restores; empty fields select all.
type RestoreQuery struct {
	Page     Page
	Instance string
	// Scope limits them to the instances that the caller may see.
	Scope fleet.Scope
}

// List returns a page of restores, newest first, and the token of the next
// page.
func (s Restores) List(ctx context.Context, q RestoreQuery) ([]fleet.Restore, string, error) {
	var f filter
	f.where(`kind = ?`, fleet.JobRestore)
	f.instance("instance", q.Instance)
	f.scope("instance", q.Scope)
	if err := f.page(q.Page, "created_at"); err != nil {
		return nil, "", err
	}
	position := func(r fleet.Restore) (time.Time, string) { return r.CreatedAt, r.ID }
	return paged(ctx, s.db, scanRestore, q.Page, position, `SELECT `+restoreColumns+` FROM jobs LEFT JOIN restores ON job_id = id`+f.sql()+
		fmt.Sprintf(` ORDER BY created_at DESC, id DESC LIMIT %d`, q.Page.limit()+1), f.args...)
}
