package catalog_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func theRun(t *testing.T, c *catalog.Catalog) fleet.Run {
	t.Helper()
	runs, _, err := c.Runs.List(t.Context(), catalog.RunQuery{})
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	return runs[0]
}

func TestRunEndsOnceInWhateverOrderItsNewsComes(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	ended := aRun("db1", now)
	ended.State, ended.Error, ended.Warnings = fleet.RunFailed, "pg_dump: error: out of space", []string{}
	running := ended
	running.State, running.FinishedAt, running.Error = fleet.RunRunning, time.Time{}, ""
	other := ended
	other.State, other.Error, other.SizeBytes = fleet.RunSucceeded, "", 10
	record(t, c, running, nil)
	if diff := cmp.Diff(running, theRun(t, c)); diff != "" {
		t.Error(diff)
	}
	for _, news := range []fleet.Run{ended, running, ended, other} {
		record(t, c, news, nil)
		if diff := cmp.Diff(ended, theRun(t, c)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRunOfAnotherInstanceIsRefusedWhole(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	enrol(t, c, fleet.CallerAgent, "db2", "")
	run, backup := aRun("db1", now), aBackup("db1", now)
	record(t, c, run, &backup)
	stolen, forged := run, backup
	stolen.Instance, forged.Instance = "db2", "db2"
	own := aRun("db2", now)
	for name, err := range map[string]error{
		"its run":                 c.Runs.Record(t.Context(), stolen, nil),
		"its run with own backup": c.Runs.Record(t.Context(), stolen, &fleet.Backup{ID: fleet.NewID(), Instance: "db2", CreatedAt: now}),
		"own run with its backup": c.Runs.Record(t.Context(), own, &forged),
	} {
		if !errors.Is(err, fleet.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, query := range []catalog.BackupQuery{{Instance: "db2"}} {
		if all, _, err := c.Backups.List(t.Context(), query); err != nil || len(all) != 0 {
			t.Errorf("%d backups of db2, %v", len(all), err)
		}
	}
	if got := theRun(t, c); got.Instance != "db1" {
		t.Errorf("the run is %+v", got)
	}
}

func TestBackupsByWhatIsAskedFor(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	enrol(t, c, fleet.CallerAgent, "db2", "")
	var ids []string
	for i, b := range []fleet.Backup{aBackup("db1", now), aBackup("db1", now.Add(time.Hour)), aBackup("db2", now.Add(2*time.Hour)), aBackup("db1", now.Add(3*time.Hour))} {
		if i == 1 {
			b.Database = "other"
		}
		record(t, c, aRun(b.Instance, b.CreatedAt), &b)
		ids = append(ids, b.ID)
	}
	if err := c.Backups.RecordRemoved(t.Context(), "db2", ids[3], "not mine", now, now); err != nil {
		t.Fatal(err)
	}
	if err := c.Backups.RecordRemoved(t.Context(), "db1", ids[0], "31 days old", now, now); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		query catalog.BackupQuery
		want  []string // newest first
	}{
		{"all", catalog.BackupQuery{}, []string{ids[3], ids[2], ids[1]}},
		{"with the removed", catalog.BackupQuery{IncludeRemoved: true}, []string{ids[3], ids[2], ids[1], ids[0]}},
		{"an instance", catalog.BackupQuery{Instance: "db1"}, []string{ids[3], ids[1]}},
		{"a database", catalog.BackupQuery{Instance: "db1", Database: "shop"}, []string{ids[3]}},
		{"since", catalog.BackupQuery{Since: now.Add(2 * time.Hour)}, []string{ids[3], ids[2]}},
		{"a name with a wildcard", catalog.BackupQuery{Instance: "db%"}, nil},
	} {
		all, _, err := c.Backups.List(t.Context(), tt.query)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range all {
			got = append(got, b.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	removed, err := c.Backups.Get(t.Context(), ids[0])
	if err != nil || removed.State != fleet.BackupRemoved || removed.RemovedFor != "31 days old" || !removed.RemovedAt.Equal(now) {
		t.Errorf("the removed one is %+v, %v", removed, err)
	}
}

func TestRetentionSummary(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	for i, status := range []string{"kept", "kept-last", "expired", "expired"} {
		b := aBackup("db1", now.Add(-time.Duration(i)*time.Hour))
		b.Retention.Status = status
		record(t, c, aRun("db1", now), &b)
	}
	got, err := c.Backups.RetentionSummary(t.Context(), "db1")
	want := []fleet.RetentionSummary{{Database: "shop", Backups: 4, SizeBytes: 40, Expired: 2, KeptLast: 1, OldestAt: now.Add(-3 * time.Hour), NewestAt: now}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
}

func job(c *catalog.Catalog, t *testing.T, request string) fleet.Job {
	t.Helper()
	j, err := c.Jobs.Create(t.Context(), fleet.Job{
		ID: fleet.NewID(), RequestID: request, Kind: fleet.JobRestore, Instance: "db1", RequestedBy: "user:owner",
		CreatedAt: now, Deadline: now.Add(time.Minute), Spec: fleet.JobSpec{BackupID: "b", Reason: "why"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestRequestIDMakesOneJob(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	first := job(c, t, "r1")
	if again := job(c, t, "r1"); again.ID != first.ID {
		t.Error("the same request made two jobs")
	}
	if a, b := job(c, t, ""), job(c, t, ""); a.ID == b.ID {
		t.Error("two requests without an id made one job")
	}
}

func TestJobsEndCompletesItsEntryOfTheAuditLog(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	sequence, err := c.AuditLog.Append(t.Context(), chain.Entry{At: now, Actor: "user:owner", Action: "backup.restore", Outcome: chain.OutcomeStarted})
	if err != nil {
		t.Fatal(err)
	}
	j, err := c.Jobs.Create(t.Context(), fleet.Job{
		ID: fleet.NewID(), Kind: fleet.JobRestore, Instance: "db1", CreatedAt: now, Deadline: now.Add(time.Minute), AuditSequence: sequence,
	})
	if err != nil {
		t.Fatal(err)
	}
	failed := fleet.JobResult{State: fleet.JobFailed, Error: "no space", FinishedAt: now}
	for range 2 { // the report may be repeated
		if _, err := c.Jobs.Finish(t.Context(), "db1", j.ID, failed, now); err != nil {
			t.Fatal(err)
		}
	}
	all := verifyAuditLog(t, c, 2)
	if end := all[0]; end.Completes != sequence || end.Outcome != chain.OutcomeFailed || !strings.Contains(end.Detail, "no space") {
		t.Errorf("it ends with %+v", end)
	}
	if _, err := c.Jobs.Finish(t.Context(), "db2", j.ID, failed, now); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("another instance's: %v", err)
	}
}

func TestOverdueJobs(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	waiting, running := job(c, t, ""), job(c, t, "")
	if err := c.Jobs.RecordProgress(t.Context(), "db1", running.ID, fleet.Progress{Phase: "verify"}, now); err != nil {
		t.Fatal(err)
	}
	if err := c.Agents.RecordSeen(t.Context(), "db1", now); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		at          time.Time
		silentSince time.Time
		want        []string
	}{
		{"before the deadline", waiting.Deadline.Add(-time.Microsecond), now, nil},
		{"at the deadline", waiting.Deadline, now, []string{waiting.ID}},
		{"the agent is silent", waiting.Deadline.Add(-time.Microsecond), now.Add(time.Microsecond), []string{running.ID}},
	} {
		overdue, err := c.Jobs.Overdue(t.Context(), tt.at, tt.silentSince)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range overdue {
			got = append(got, j.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	due, err := c.Jobs.Due(t.Context(), "db1", waiting.Deadline.Add(-time.Microsecond))
	if err != nil || len(due) != 1 || due[0].ID != waiting.ID || due[0].Spec.Reason != "why" {
		t.Errorf("due are %+v, %v", due, err)
	}
	if due, err := c.Jobs.Due(t.Context(), "db1", waiting.Deadline); err != nil || len(due) != 0 {
		t.Errorf("at the deadline %+v are due, %v", due, err)
	}
}

// What somebody asked for who is revoked is not begun any more; what an agent was told
// of is the agent's to end.
func TestQueuedJobsOfARequesterAreCancelled(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	sequence, err := c.AuditLog.Append(t.Context(), chain.Entry{At: now, Actor: "user:anna", Action: "backup.run", Outcome: chain.OutcomeStarted})
	if err != nil {
		t.Fatal(err)
	}
	create := func(by string, sequence int64) string {
		t.Helper()
		j, err := c.Jobs.Create(t.Context(), fleet.Job{
			ID: fleet.NewID(), Kind: fleet.JobBackup, Instance: "db1", RequestedBy: by, CreatedAt: now, Deadline: now.Add(time.Minute), AuditSequence: sequence,
		})
		if err != nil {
			t.Fatal(err)
		}
		return j.ID
	}
	told, queued, others := create("user:anna", 0), create("user:anna", sequence), create("user:bert", 0)
	if err := c.Jobs.RecordOffer(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	if ids, err := c.Jobs.CancelQueued(t.Context(), "user:anna", "user:anna was revoked", now); err != nil || !slices.Equal(ids, []string{queued}) {
		t.Errorf("cancelled %v, %v", ids, err)
	}
	for id, want := range map[string]fleet.JobState{told: fleet.JobOffered, queued: fleet.JobCancelled, others: fleet.JobQueued} {
		if j, err := c.Jobs.Get(t.Context(), id); err != nil || j.State != want {
			t.Errorf("the job is %s, want %s: %v", j.State, want, err)
		}
	}
	if err := c.Jobs.RecordOffer(t.Context(), queued); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("it is offered all the same: %v", err)
	}
	entries, _, err := c.AuditLog.List(t.Context(), catalog.AuditQuery{})
	if err != nil || entries[0].Completes != sequence || entries[0].Outcome != chain.OutcomeFailed {
		t.Errorf("the audit log ends with %+v, %v", entries[0], err)
	}
}
