package command

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/cli/internal/session"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type watchStream = grpc.ServerStreamingServer[pgharborv1.WatchJobResponse]

// ends sends a running job, then its final state.
func ends(job *pgharborv1.Job) func(int, watchStream) error {
	return func(_ int, stream watchStream) error {
		running := &pgharborv1.Job{Id: job.GetId(), State: "running", Progress: &pgharborv1.Progress{Phase: "dump", DoneBytes: 1}}
		if err := stream.Send(&pgharborv1.WatchJobResponse{Job: running}); err != nil {
			return err
		}
		return stream.Send(&pgharborv1.WatchJobResponse{Job: job})
	}
}

func TestBackupWaitsForItsEnd(t *testing.T) {
	f := loggedIn(t)
	f.watch = ends(&pgharborv1.Job{Id: "job1", State: "succeeded", Runs: []*pgharborv1.Run{
		{Id: "run1", Database: "shop", State: "succeeded", BackupId: "id1", SizeBytes: 5 << 20, Warnings: []string{"a subscription was left out"}},
	}})
	got := f.run(t, "backup", "shop-db")
	if got.code != exit.Done || !strings.Contains(got.stdout, "id1") || !strings.Contains(got.stdout, "degraded") || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	got = f.run(t, "backup", "shop-db", "-o", "json")
	var printed struct {
		Job struct {
			State string `json:"state"`
			Runs  []struct {
				BackupID string `json:"backup_id"`
			} `json:"runs"`
		} `json:"job"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &printed); err != nil || printed.Job.State != "succeeded" || printed.Job.Runs[0].BackupID != "id1" {
		t.Errorf("%v: %s", err, got.stdout)
	}
}

func TestBackupWithoutWaiting(t *testing.T) {
	f := loggedIn(t)
	got := f.run(t, "backup", "shop-db", "--wait=false", "-o", "json")
	if got.code != exit.Done || !strings.Contains(got.stdout, `"id": "job1"`) || f.watched != 0 {
		t.Errorf("%+v, watched %d times", got, f.watched)
	}
}

func TestAFailedBackupSaysWhyInTheToolsWords(t *testing.T) {
	f := loggedIn(t)
	f.watch = ends(&pgharborv1.Job{
		Id: "job1", Instance: "shop-db", State: "failed", Failure: "failed", Error: "pg_dump: error: server closed the connection\nunexpectedly",
		Runs: []*pgharborv1.Run{{Id: "run1", Database: "shop", State: "failed", Error: "pg_dump: error"}},
	})
	got := f.run(t, "backup", "shop-db")
	if got.code != exit.Failed || !strings.Contains(got.stderr, "server closed the connection; unexpectedly") || !strings.Contains(got.stdout, "run1") {
		t.Errorf("%+v", got)
	}
	wantError(t, got)
	if got := f.run(t, "backup", "shop-db", "-o", "json"); got.code != exit.Failed || got.stdout != "" {
		t.Errorf("-o json: %+v", got)
	}
}

func TestAFailuresWordDecidesTheExitCode(t *testing.T) {
	f := loggedIn(t)
	for failure, want := range map[string]int{
		"integrity": exit.Integrity, "passphrase": exit.Failed, "exists": exit.Failed, "not-found": exit.NotFound,
		"unreachable": exit.Unreachable, "failed": exit.Failed, "": exit.Failed, "a word of tomorrow": exit.Failed,
	} {
		f.watch = ends(&pgharborv1.Job{Id: "job1", State: "failed"})
		f.restore = &pgharborv1.Restore{Id: "job1", State: "failed", Failure: failure, Error: "it did not go"}
		got := f.run(t, "restore", "id1", "--to-database", "new", "--confirm", "new", "--reason", "why", "-o", "json")
		if got.code != want || got.stdout != "" || !strings.Contains(got.stderr, "it did not go") {
			t.Errorf("%q: %+v, want exit code %d", failure, got, want)
		}
	}
}

func TestRestoreSendsWhatWasConfirmed(t *testing.T) {
	f := loggedIn(t)
	f.watch = ends(&pgharborv1.Job{Id: "job1", State: "succeeded"})
	f.restore = &pgharborv1.Restore{Id: "job1", BackupId: "id1", TargetDatabase: "neu\nbau", Instance: "shop-db", State: "succeeded"}
	got := f.run(t, "restore", "id1", "--to-database", "neu\nbau", "--confirm", "neu\nbau", "--reason", "a drill")
	if got.code != exit.Done || !strings.Contains(got.stdout, `neu\nbau`) {
		t.Errorf("%+v", got)
	}
	asked := f.restored[0]
	if asked.GetBackupId() != "id1" || asked.GetTargetDatabase() != "neu\nbau" || asked.GetConfirm() != "neu\nbau" ||
		asked.GetReason() != "a drill" || asked.GetRequestId() == "" {
		t.Errorf("asked for %v", asked)
	}
	got = f.run(t, "restore", "id1", "--to-database", "x", "--confirm", "x", "--reason", "a drill", "-o", "json")
	if !strings.Contains(got.stdout, `"id": "job1"`) || !strings.HasPrefix(got.stdout, "{\n  \"restore\": {") {
		t.Errorf("-o json: %+v", got)
	}
}

func TestWatchingGoesOnAfterACut(t *testing.T) {
	f := loggedIn(t)
	done := ends(&pgharborv1.Job{Id: "job1", State: "succeeded"})
	f.watch = func(attempt int, stream watchStream) error {
		switch {
		case attempt == 3:
			return nil // ends too early
		case attempt < 5:
			if err := stream.Send(&pgharborv1.WatchJobResponse{Job: &pgharborv1.Job{State: "running"}}); err != nil {
				return err
			}
			return status.Error(codes.Unavailable, "the control plane is shutting down")
		default:
			return done(attempt, stream)
		}
	}
	if got := f.run(t, "backup", "shop-db"); got.code != exit.Done || f.watched != 5 {
		t.Errorf("%+v after %d attempts", got, f.watched)
	}
}

func TestWatchingGivesUpAfterAMinute(t *testing.T) {
	f := loggedIn(t)
	f.watch = func(int, watchStream) error { return status.Error(codes.Unavailable, "nobody there") }
	before := f.clock.Now()
	got := f.run(t, "backup", "shop-db")
	if got.code != exit.Unreachable || !strings.Contains(got.stderr, "goes on") || !strings.Contains(got.stderr, "pgharbor runs") {
		t.Errorf("%+v", got)
	}
	if took := f.clock.Now().Sub(before); took < session.WatchPatience || took > session.WatchPatience+2*session.LongestDelay {
		t.Errorf("gave up after %s", took)
	}
}

func TestWatchingEndsWhereItMayNotGoOn(t *testing.T) {
	f := loggedIn(t)
	f.watch = func(int, watchStream) error { return status.Error(codes.PermissionDenied, "revoked") }
	if got := f.run(t, "backup", "shop-db"); got.code != exit.Denied || f.watched != 1 {
		t.Errorf("%+v after %d attempts", got, f.watched)
	}
}

func TestWhatARestoredDatabaseLacksIsSaid(t *testing.T) {
	f := loggedIn(t)
	f.watch = ends(&pgharborv1.Job{Id: "job1", State: "succeeded"})
	f.restore = &pgharborv1.Restore{
		Id: "job1", BackupId: "id1", TargetDatabase: "crm2", Instance: "shop-db", State: "succeeded",
		Warnings: []string{"left out: the role \"app_migrator\"", "statistics\nin full"},
	}
	asks := []string{"restore", "id1", "--to-database", "crm2", "--confirm", "crm2", "--reason", "a drill"}
	wants(t, f.run(t, asks...), "Restored backup id1 into crm2", `It lacks something: left out: the role "app_migrator"`, "It lacks something: statistics; in full")
	if got := f.run(t, append(asks, "-o", "json")...); !strings.Contains(got.stdout, `"warnings": [`) {
		t.Errorf("-o json: %s", got.stdout)
	}
	f.restores = []*pgharborv1.Restore{f.restore}
	wants(t, f.run(t, "restores"), "degraded", "app_migrator")
}
