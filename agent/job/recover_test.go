package job

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
)

// abandon writes a record as a process does that is killed then.
func abandon(t *testing.T, folder *state.Folder, record state.Record) {
	t.Helper()
	work, err := folder.Records.Begin(record)
	if err != nil {
		t.Fatal(err)
	}
	if err := work.Leave(); err != nil { // the lock goes, as with the process
		t.Fatal(err)
	}
}

func TestRecoverTellsHowBrokenWorkEnded(t *testing.T) {
	server := postgrestest.Shared(t)
	r := newRunner(t, nil)
	started := time.Now().UTC().Truncate(time.Second)
	// One run broke in its dump, one after its manifest stood.
	abandon(t, r.State, state.Record{ID: "broken", Run: &state.Run{ID: "broken", Database: "shop", State: state.StateRunning, StartedAt: started}})
	if _, err := r.Engine.Store.Create("shop", "backup-2026-11-23-01-00-00.sql", "broken"); err != nil {
		t.Fatal(err)
	}
	storeBackup(t, r, "shop", backupID(1), "whole", started)
	abandon(t, r.State, state.Record{ID: "whole", Run: &state.Run{ID: "whole", Database: "shop", State: state.StateRunning, StartedAt: started}})
	// A job broke in its restore, and one had ended but for its record.
	server.CreateDatabase(t, "pgharbor_restore_job1")
	abandon(t, r.State, state.Record{ID: "job-job1", JobID: "job1", Restore: &state.Restore{ID: "job1", Target: "again"}})
	if err := r.State.Journal.Append(resultOf("job2")); err != nil {
		t.Fatal(err)
	}
	abandon(t, r.State, state.Record{ID: "job-job2", JobID: "job2"})
	// A removal broke before its file was gone.
	expired := storeBackup(t, r, "shop", backupID(2), "old", started.AddDate(-1, 0, 0))
	abandon(t, r.State, state.Record{ID: "removal-" + backupID(2), Removal: &state.Removal{BackupID: backupID(2), Location: expired, Reason: "old", RemovedAt: started}})

	r = newRunner(t, func(c *Config) { c.State, c.Engine = openState(t, r.State.Dir()), r.Engine })
	if err := r.Recovery.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := map[string]state.Entry{}
	for _, entry := range entries(t, r.State) {
		told[entry.ID] = entry
	}
	if run := told["run-broken"].Run; run == nil || run.State != state.StateFailed || run.Error != errInterrupted.Error() || run.FinishedAt.IsZero() {
		t.Errorf("the broken run: %+v", run)
	}
	if entry := told["run-whole"]; entry.Run == nil || entry.Run.State != state.StateSucceeded || entry.Run.BackupID != backupID(1) || entry.Backup == nil {
		t.Errorf("the whole run: %+v", entry)
	}
	if result := told["job-job1"].Result; result == nil || result.State != state.StateFailed || !strings.HasPrefix(result.Error, errInterrupted.Error()) {
		t.Errorf("the broken job: %+v", result)
	}
	if result := told["job-job2"].Result; result == nil || result.State != state.StateSucceeded {
		t.Errorf("the job that had ended: %+v", result)
	}
	if removal := told["removal-"+backupID(2)].Removal; removal == nil || removal.Reason != "old" {
		t.Errorf("the broken removal: %+v", removal)
	}
	if len(told) != 5 {
		t.Errorf("%d entries: %v", len(told), told)
	}
	if _, err := os.Stat(folderOf(r.Engine).Path(expired)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of the broken removal: %v", err)
	}
	if slices.Contains(server.Databases(t), "pgharbor_restore_job1") {
		t.Error("the broken restore's temporary database is left")
	}
	if works, err := r.State.Records.Abandoned(); len(works) != 0 || err != nil {
		t.Errorf("records are left: %v, %v", works, err)
	}
}

// A server that is away at the start does not keep the rests forever.
func TestRecoverDropsTheTemporaryDatabaseOnceTheServerIsBack(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE DATABASE pgharbor_restore_job1")
	r := newOffline(t, func(c *Config) { c.Engine.Instance = instanceOf(t, server) })
	abandon(t, r.State, state.Record{ID: "job-job1", JobID: "job1", Restore: &state.Restore{ID: "job1", Target: "again"}})
	server.Stop()
	if err := r.Recovery.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if told := pending(t, r.State.Journal); len(told) != 1 {
		t.Errorf("journal: %v", told)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	r.Recovery.retryOrphans(t.Context())
	if slices.Contains(server.Databases(t), "pgharbor_restore_job1") {
		t.Error("the temporary database is left")
	}
}
