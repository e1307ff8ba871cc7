package job

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
)

// accept runs a job to its end and returns the result that is journaled.
func accept(t *testing.T, r *Runner, job Job) state.Result {
	t.Helper()
	r.Queue.Accept(t.Context(), job)
	r.Wait()
	for _, entry := range entries(t, r.State) {
		if entry.ID == "job-"+job.ID {
			return *entry.Result
		}
	}
	t.Fatalf("job %s left no result", job.ID)
	return state.Result{}
}

func TestRestoreJobs(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "shop")
	server.Exec(t, "shop", "CREATE TABLE goods AS SELECT generate_series(1, 100) AS id")
	t.Cleanup(func() { server.DropDatabase(t, "again") })
	r := newRunner(t, nil)
	outcome := r.Runs.BackUp(t.Context(), Request{Databases: []string{"shop"}, Trigger: state.TriggerManual})[0]
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	id := outcome.Manifest.ID
	if result := accept(t, r, Job{ID: "job1", Spec: RestoreSpec{BackupID: id, Target: "again"}}); result.State != state.StateSucceeded {
		t.Fatalf("result %+v", result)
	}
	if rows := server.Value(t, "again", "SELECT count(*) FROM goods"); rows != "100" {
		t.Errorf("%s rows are back", rows)
	}
	for _, test := range []struct {
		job     Job
		failure string
	}{
		{Job{ID: "job2", Spec: RestoreSpec{BackupID: id, Target: "again"}}, backup.FailureExists},
		{Job{ID: "job3", Spec: RestoreSpec{BackupID: "gone", Target: "third"}}, backup.FailureNotFound},
		{Job{ID: "job4", Spec: SendSpec{BackupID: "gone"}}, backup.FailureNotFound},
		{Job{ID: "job5", Spec: BackupSpec{Database: "gone"}}, backup.FailureNotFound},
		{Job{ID: "job6"}, backup.FailureOther}, // of a newer control plane
	} {
		if result := accept(t, r, test.job); result.State != state.StateFailed || result.Failure != test.failure {
			t.Errorf("job %+v: %+v", test.job, result)
		}
	}
	if databases := server.Databases(t); slices.ContainsFunc(databases, func(name string) bool { return strings.HasPrefix(name, "pgharbor_") }) {
		t.Errorf("databases: %v", databases)
	}
}

func TestAJobIsDoneOnce(t *testing.T) {
	r := newOffline(t, nil)
	// It ended before a restart; the control plane has not heard yet.
	if err := r.State.Journal.Append(resultOf("job1")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"job1", "../../etc/passwd", "", strings.Repeat("j", 100)} {
		r.Queue.Accept(t.Context(), Job{ID: id, Spec: BackupSpec{Database: "gone"}})
	}
	r.Wait()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r.Queue.Accept(ended, Job{ID: "job2", Spec: BackupSpec{Database: "gone"}}) // the agent is about to end
	if told := entries(t, r.State); len(told) != 1 || len(r.Queue.Jobs()) != 0 {
		t.Errorf("journal %+v, jobs %+v", told, r.Queue.Jobs())
	}
}

func TestProgressOfAJob(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "slow")
	server.Exec(t, "slow", "CREATE TABLE goods (id int)")
	release := lockTable(t, "slow", "goods")
	r := newRunner(t, nil)
	r.Queue.Accept(t.Context(), Job{ID: "job1", Spec: BackupSpec{Database: "slow"}})
	awaitDumps(t, 1)
	// The second waits for its turn, and says so.
	r.Queue.Accept(t.Context(), Job{ID: "job2", Spec: BackupSpec{Database: "slow"}})
	<-r.Queue.Changed()
	jobs := r.Queue.Jobs()
	if len(jobs) != 2 || jobs[1].Phase != PhaseWait {
		t.Errorf("jobs %+v", jobs)
	}
	if running := r.Runs.Running(); len(running) != 1 || running[0].JobID != "job1" || running[0].StartedAt.After(time.Now()) {
		t.Errorf("running %+v", running)
	}
	release()
	r.Wait()
	if told := entries(t, r.State); len(told) != 4 || len(r.Queue.Jobs()) != 0 || len(r.Runs.Running()) != 0 {
		t.Errorf("%d entries, jobs %+v, running %+v", len(told), r.Queue.Jobs(), r.Runs.Running())
	}
}

// What is known of a restore, and with it its undo, is not written over by another one of its id.
func TestARestoreHasItsIDForItself(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "shop")
	r := newRunner(t, nil)
	outcome := r.Runs.BackUp(t.Context(), Request{Databases: []string{"shop"}, Trigger: state.TriggerManual})[0]
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	t.Cleanup(func() { server.DropDatabase(t, "again") })
	release, err := r.State.Displaced.Lock(t.Context()) // it makes the folder
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := r.State.Displaced.Save(state.DisplacedDatabase{RestoreID: "job1", ReplacedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	result := accept(t, r, Job{ID: "job1", Spec: RestoreSpec{BackupID: outcome.Manifest.ID, Target: "again"}})
	if result.State != state.StateFailed || result.Outcome != nil {
		t.Errorf("result %+v", result)
	}
}
