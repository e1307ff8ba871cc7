package job

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
)

func TestEveryRunIsJournaled(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "shop")
	r := newRunner(t, func(c *Config) { c.Plan.Databases = []string{"shop", "gone"} })
	outcomes := r.Runs.BackUp(t.Context(), Request{Trigger: state.TriggerManual, JobID: "job1"})
	var told []string
	for _, entry := range entries(t, r.State) {
		run := entry.Run
		told = append(told, run.Database+" "+run.State+" "+run.JobID+" "+run.Error)
		if run.State == state.StateSucceeded && (entry.Backup == nil || entry.Backup.ID != run.BackupID || run.SizeBytes == 0) {
			t.Errorf("run %+v of backup %+v", run, entry.Backup)
		}
	}
	want := []string{"shop succeeded job1 ", `gone failed job1 no such database: "gone"`}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	err := Failures(outcomes)
	if err == nil || !strings.Contains(err.Error(), `1 of 2 databases failed: "gone"`) {
		t.Errorf("summary: %v", err)
	}
	if works, err := r.State.Records.Abandoned(); len(works) != 0 || err != nil {
		t.Errorf("records are left: %v, %v", works, err)
	}
}

func TestAnUnreachableServerIsAFailedRunOfEachDatabase(t *testing.T) {
	server := postgrestest.Start(t)
	r := newOffline(t, func(c *Config) { c.Host.Instance = instanceOf(t, server) })
	storeBackup(t, r, "shop", backupID(1), "run1", time.Now())
	server.Stop()
	for _, outcome := range r.Runs.BackUp(t.Context(), Request{Trigger: state.TriggerSchedule}) {
		if outcome.Run.Database != "shop" || outcome.Run.State != state.StateFailed || !strings.Contains(outcome.Run.Error, "connect") {
			t.Errorf("run %+v", outcome.Run)
		}
	}
	r.Status.Refresh(t.Context())
	if warnings := strings.Join(r.Status.Last().Warnings, "\n"); !strings.Contains(warnings, "PostgreSQL can't be reached") {
		t.Errorf("warnings:\n%s", warnings)
	}
}

func TestRunsAreBounded(t *testing.T) {
	server := postgrestest.Shared(t)
	databases := []string{"one", "two", "three"}
	var releases []func()
	for _, database := range databases {
		server.CreateDatabase(t, database)
		server.Exec(t, database, "CREATE TABLE goods (id int)")
		releases = append(releases, lockTable(t, database, "goods"))
	}
	r := newRunner(t, func(c *Config) { c.Plan.Concurrency = 2 })
	done := make(chan []Outcome)
	go func() {
		done <- r.Runs.BackUp(t.Context(), Request{Databases: databases, Trigger: state.TriggerManual})
	}()
	awaitDumps(t, 2)
	var running []string
	for _, run := range r.Runs.Running() {
		running = append(running, run.Database)
	}
	if len(running) != 2 || strings.Contains(strings.Join(running, " "), "three") {
		t.Errorf("running: %v", running)
	}
	// Another run of a database that has one is refused, also of another process.
	again := newRunner(t, func(c *Config) { c.Host.Store = r.Host.Store }).Runs.BackUp(t.Context(), Request{Databases: []string{"one"}})
	if !errors.Is(again[0].Err, backup.ErrBusy) || again[0].Run.State != state.StateFailed {
		t.Errorf("a second run of the same database: %+v", again[0])
	}
	for _, release := range releases {
		release()
	}
	if err := Failures(<-done); err != nil {
		t.Error(err)
	}
}

func TestAStoppedAgentLeavesAFailedRunAndNothingElse(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "slow")
	server.Exec(t, "slow", "CREATE TABLE goods (id int)")
	lockTable(t, "slow", "goods")
	r := newRunner(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan []Outcome)
	go func() { done <- r.Runs.BackUp(ctx, Request{Databases: []string{"slow", "postgres"}}) }()
	awaitDumps(t, 1)
	stop()
	for _, outcome := range <-done {
		if outcome.Run.State != state.StateFailed || outcome.Run.Error != errInterrupted.Error() {
			t.Errorf("run %+v", outcome.Run)
		}
	}
	if told := entries(t, r.State); len(told) != 2 {
		t.Errorf("%d entries in the journal: %+v", len(told), told)
	}
	noFiles(t, folderOf(r.Host).Dir())
}

// noFiles fails for anything in the store but its folders and locks.
func noFiles(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && strings.Contains(entry.Name(), "backup-") {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}
