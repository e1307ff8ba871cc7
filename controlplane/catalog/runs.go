package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const runColumns = `id, instance, database, trigger, state, started_at, finished_at, error, warnings, backup_id, job_id, size_bytes`

func scanRun(r row) (run fleet.Run, err error) {
	var warnings []byte
	err = r.Scan(&run.ID, &run.Instance, &run.Database, &run.Trigger, &run.State, instant{&run.StartedAt}, instant{&run.FinishedAt},
		&run.Error, &warnings, &run.BackupID, &run.JobID, &run.SizeBytes)
	if err != nil {
		return run, err
	}
	return run, json.Unmarshal(warnings, &run.Warnings)
}

// RunQuery selects runs; empty fields select all.
type RunQuery struct {
	Page       Page
	Instance   string
	Database   string
	FailedOnly bool
	// Scope limits them to the instances that the caller may see.
	Scope fleet.Scope
}

// List returns a page of runs, newest first, and the token of the next page.
func (s Runs) List(ctx context.Context, q RunQuery) ([]fleet.Run, string, error) {
	var f filter
	f.instance("instance", q.Instance)
	if q.Database != "" {
		f.where(`database = ?`, q.Database)
	}
	if q.FailedOnly {
		f.where(`state = 'failed'`)
	}
	f.scope("instance", q.Scope)
	if err := f.page(q.Page, "started_at"); err != nil {
		return nil, "", err
	}
	position := func(r fleet.Run) (time.Time, string) { return r.StartedAt, r.ID }
	return paged(ctx, s.db, scanRun, q.Page, position, `SELECT `+runColumns+` FROM runs`+f.sql()+
		fmt.Sprintf(` ORDER BY started_at DESC, id DESC LIMIT %d`, q.Page.limit()+1), f.args...)
}

// maxJobRuns bounds the runs of a job, of which there is one for each database.
const maxJobRuns = fleet.MaxDatabases

// OfJob returns the runs that a backup job has made so far, oldest first, as many
// as an answer has room for, and whether there are more. A run of another instance
// does not become one of them by naming the job.
func (s Runs) OfJob(ctx context.Context, jobID string) (runs []fleet.Run, more bool, err error) {
	// In order by their row ids alone: the texts of those that are left out are not read.
	return collectWithin(ctx, s.db, scanRun, maxJobRuns, `SELECT `+runColumns+` FROM (
			SELECT rowid AS at FROM runs
			WHERE job_id = ?1 AND job_id <> '' AND instance = (SELECT instance FROM jobs WHERE id = ?1) ORDER BY started_at, id LIMIT ?2) AS made
		CROSS JOIN runs ON runs.rowid = made.at`, jobID, maxJobRuns+1)
}

// Record takes over what an agent says of a run, and its backup if it made one. The same report may
// come any number of times. A run that has ended does not begin again, and a run or backup of
// another instance is refused with fleet.ErrDenied, as is what its share has no room for.
func (s Runs) Record(ctx context.Context, run fleet.Run, backup *fleet.Backup) error {
	names := map[string]bool{run.Database: true}
	if backup != nil {
		names[backup.Database] = true
	}
	for name := range names {
		if err := s.roomForDatabase(ctx, run.Instance, name); err != nil {
			return err
		}
	}
	return s.reports.within(ctx, func(tx *sql.Tx) error {
		if err := s.recordRun(ctx, tx, run); err != nil {
			return err
		}
		if backup == nil {
			return nil
		}
		return s.recordBackup(ctx, tx, *backup)
	})
}

func (s *shared) recordRun(ctx context.Context, tx *sql.Tx, run fleet.Run) error {
	warnings, err := json.Marshal(nonNil(run.Warnings))
	if err != nil {
		return err
	}
	if err := s.roomForRun(ctx, tx, run, len(run.Error)+len(warnings)); err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO runs (`+runColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET
			state = iif(runs.state = 'running', excluded.state, runs.state),
			finished_at = coalesce(runs.finished_at, excluded.finished_at),
			error = iif(runs.state = 'running', excluded.error, runs.error),
			warnings = iif(runs.state = 'running', excluded.warnings, runs.warnings),
			backup_id = iif(runs.state = 'running', excluded.backup_id, runs.backup_id),
			size_bytes = iif(runs.state = 'running', excluded.size_bytes, runs.size_bytes)
		WHERE runs.instance = excluded.instance`,
		run.ID, run.Instance, run.Database, run.Trigger, run.State, micros(run.StartedAt), micros(run.FinishedAt),
		run.Error, string(warnings), run.BackupID, run.JobID, run.SizeBytes)
	return owned(result, err, run.Instance, "run "+run.ID)
}

// owned refuses a write that matched no row because the row is another instance's: an agent reports
// on its own instance only.
func owned(result sql.Result, err error, instance, what string) error {
	if err != nil {
		return err
	}
	changed, err := result.RowsAffected()
	if err == nil && changed == 0 {
		return fleet.NewProblem(fleet.ErrDenied, "%s does not belong to instance %s", what, instance)
	}
	return err
}

// nonNil makes an empty list "[]" in JSON, which reads back as one.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
