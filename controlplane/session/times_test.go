package session_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// dated sets every time of a message, at any depth, also of fields that do not exist
// today; nil clears it.
func dated[M proto.Message](m M, at *timestamppb.Timestamp) M {
	date(m.ProtoReflect(), at)
	return m
}

func date(m protoreflect.Message, at *timestamppb.Timestamp) {
	fields := m.Descriptor().Fields()
	for n := range fields.Len() {
		field := fields.Get(n)
		switch {
		case field.Message() == nil:
		case field.Message().FullName() == "google.protobuf.Timestamp":
			if m.Clear(field); at != nil {
				m.Set(field, protoreflect.ValueOfMessage(at.ProtoReflect()))
			}
		case field.IsList():
			for i := range m.Get(field).List().Len() {
				date(m.Get(field).List().Get(i).Message(), at)
			}
		case m.Has(field) && field.Message().FullName().Parent() == "pgharbor.v1":
			date(m.Mutable(field).Message(), at)
		}
	}
}

// tellAll has an agent say everything that has a time, by one clock, and returns the
// restore that it ends and the backup that it removes.
func tellAll(t *testing.T, cp *controlPlane, a *agent, at *timestamppb.Timestamp) (job fleet.Job, removed string) {
	t.Helper()
	restore := cp.submit(t, "db1", func(j *fleet.Job) { j.Kind, j.Spec = fleet.JobRestore, fleet.JobSpec{TargetDatabase: "copy"} })
	a.offer(t)
	testRestore := &pgharborv1.Proof{State: fleet.TestRestoreSucceeded, FinishedAt: at}
	backup, gone := aBackup(), aBackup()
	a.report(t, runFinished(aRun(), backup))
	a.report(t, runFinished(aRun(), gone))
	a.send(t, dated(heartbeat(&pgharborv1.Heartbeat{
		Status:  &pgharborv1.AgentStatus{BackupsEnabled: true},
		Running: []*pgharborv1.Run{aRun(func(r *pgharborv1.Run) { r.State = fleet.RunRunning })},
	}), at))
	a.report(t, dated(runFinished(aRun(), aBackup()), at))
	a.report(t, dated(&pgharborv1.Report{Event: &pgharborv1.Report_BackupScrubbed{BackupScrubbed: &pgharborv1.BackupScrubbed{BackupId: backup.GetId()}}}, at))
	a.report(t, dated(&pgharborv1.Report{Event: &pgharborv1.Report_BackupProved{BackupProved: &pgharborv1.BackupProved{BackupId: backup.GetId(), Proof: testRestore}}}, at))
	a.report(t, dated(backupRemoved(gone.GetId()), at))
	ended := jobFinished(restore.ID, string(fleet.JobSucceeded))
	ended.GetJobFinished().Restore = &pgharborv1.RestoreOutcome{RestoreId: restore.ID, KeptDatabase: "shop_before"}
	a.report(t, dated(ended, at))
	a.allTaken(t)
	return restore, gone.GetId()
}

// columns are those of the catalog that hold a time of which a condition holds.
func (cp *controlPlane) columns(t *testing.T, condition string, args ...any) (found []string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(cp.folder, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
		WHERE t.type = 'table' AND c.type = 'INTEGER' ORDER BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		var holds bool
		query := fmt.Sprintf(`SELECT EXISTS (SELECT 1 FROM %q WHERE %q %s)`, table, column, condition)
		if err := db.QueryRowContext(t.Context(), query, args...).Scan(&holds); err != nil {
			t.Fatal(err)
		}
		if holds {
			found = append(found, table+"."+column)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// What has been, and is dated 50 years ahead, would never be pruned, and would hide for
// 50 years what is new. A job that was told to have ended then was never forgotten.
func TestNothingHasBeenInTheFuture(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	tellAll(t, cp, a, timestamppb.New(time.Now().AddDate(50, 0, 0)))
	// How long a database is kept is yet to come; a manifest says of its own backup
	// when that was, and health what is the matter with it.
	allowed := []string{"backups.created_at", "restores.kept_until"}
	got := cp.columns(t, `> ?`, time.Now().Add(24*time.Hour).UnixMicro())
	if !slices.Contains(got, "restores.kept_until") {
		t.Errorf("the trap is not live: %v", got)
	}
	for _, column := range got {
		if !slices.Contains(allowed, column) {
			t.Errorf("%s is yet to come", column)
		}
	}
}

// What has no time is refused, or has that of its arrival.
func TestNothingHasBeenAtNoTime(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	before := time.Now().Add(-time.Second)
	job, removed := tellAll(t, cp, a, nil)
	if got := cp.job(t, job.ID); got.State != fleet.JobSucceeded || got.FinishedAt.Before(before) || got.FinishedAt.After(time.Now()) {
		t.Errorf("the job is %s since %s", got.State, got.FinishedAt)
	}
	if got, err := cp.Catalog.Backups.Get(t.Context(), removed); err != nil || got.State != fleet.BackupRemoved || got.RemovedAt.Before(before) {
		t.Errorf("the backup is %s since %s, %v", got.State, got.RemovedAt, err)
	}
	if runs := cp.runs(t, "db1"); len(runs) != 2 {
		t.Errorf("%d runs, and two of them had a time", len(runs))
	}
}

// A job that has ended before anybody asked for it would be pruned at once.
func TestAJobEndsAfterItWasAskedFor(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	job, _ := tellAll(t, cp, a, timestamppb.New(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)))
	if got := cp.job(t, job.ID); got.State != fleet.JobSucceeded || got.FinishedAt.Before(got.CreatedAt) {
		t.Errorf("the job of %s is %s since %s", got.CreatedAt, got.State, got.FinishedAt)
	}
}
