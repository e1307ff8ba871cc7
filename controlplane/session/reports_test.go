package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestReportIsInTheCatalogBeforeItIsAcknowledged(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	b := aBackup()
	r := runFinished(aRun(func(r *pgharborv1.Run) { r.BackupId = b.GetId() }), b)
	a.report(t, r)
	if got := cp.runs(t, "db1"); len(got) != 1 || got[0].BackupID != b.GetId() || got[0].State != fleet.RunSucceeded {
		t.Errorf("the runs are %+v", got)
	}
	a.report(t, r) // the acknowledgement was lost
	if got := cp.runs(t, "db1"); len(got) != 1 {
		t.Errorf("after a repetition the runs are %+v", got)
	}
	removed := backupRemoved(b.GetId())
	a.report(t, removed)
	a.report(t, removed)
	a.report(t, r) // late, and out of order
	if diff := cmp.Diff(map[string]string{b.GetId(): fleet.BackupRemoved}, cp.backups(t, "db1")); diff != "" {
		t.Error(diff)
	}
}

// A run can't have ended after it was reported. Dated ten years ahead it would
// hide for ten years how the ones after it ended.
func TestRunByAClockThatIsAhead(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	for _, ahead := range []time.Duration{10 * 365 * 24 * time.Hour, fleet.ClockSkew / 2} {
		at := time.Now().Add(ahead)
		run := aRun(func(r *pgharborv1.Run) { r.StartedAt, r.FinishedAt = timestamppb.New(at), timestamppb.New(at) })
		a.report(t, runFinished(run, nil))
		limit := time.Now().Add(fleet.ClockSkew)
		for _, got := range cp.runs(t, "db1") {
			if got.ID == run.GetId() && (got.StartedAt.After(limit) || got.FinishedAt.After(limit) || (ahead < fleet.ClockSkew && got.FinishedAt.Sub(at).Abs() > time.Millisecond)) {
				t.Errorf("%s ahead, it is kept as begun %s and ended %s", ahead, got.StartedAt, got.FinishedAt)
			}
		}
	}
}

func TestReportThatCannotBeKeptIsNotAcknowledged(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	if err := cp.Catalog.Close(); err != nil {
		t.Fatal(err)
	}
	a.send(t, reportOf(runFinished(aRun(), nil)))
	if m, err := a.stream.Recv(); err == nil {
		t.Errorf("got %v", m)
	}
}

// What happened while the control plane was away arrives when it is back.
func TestJournalIsTakenAfterARestart(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	job := cp.submit(t, "db1")
	a.offer(t)
	a.send(t, jobUpdate(job.ID, "dump"))
	a.allTaken(t)
	cp.stop(t)
	if _, err := a.stream.Recv(); err == nil {
		t.Error("the session outlives the control plane")
	}
	cp.run(t)
	a = cp.connect(t, "db1", &pgharborv1.Hello{})
	run := aRun(func(r *pgharborv1.Run) { r.JobId = job.ID })
	a.report(t, runFinished(run, nil))
	a.report(t, jobFinished(job.ID, "succeeded"))
	a.send(t, heartbeat(&pgharborv1.Heartbeat{}))
	a.allTaken(t)
	if got := cp.job(t, job.ID).State; got != fleet.JobSucceeded {
		t.Errorf("the job is %s", got)
	}
	if got, _, err := cp.Catalog.Runs.OfJob(t.Context(), job.ID); err != nil || len(got) != 1 || got[0].ID != run.GetId() {
		t.Errorf("its runs are %+v, %v", got, err)
	}
}

func TestNewerSessionSupersedesTheOlder(t *testing.T) {
	cp := start(t)
	older := cp.connect(t, "db1", &pgharborv1.Hello{AgentVersion: "1"})
	other := cp.connect(t, "db2", &pgharborv1.Hello{})
	newer := cp.connect(t, "db1", &pgharborv1.Hello{AgentVersion: "2"})
	if _, err := older.stream.Recv(); err == nil || !strings.Contains(err.Error(), session.ErrSuperseded.Error()) {
		t.Errorf("the older one ended with %v", err)
	}
	if !cp.Connected("db1") || cp.Count() != 2 {
		t.Errorf("connected %t, %d sessions", cp.Connected("db1"), cp.Count())
	}
	job := cp.submit(t, "db1")
	if got := newer.offer(t).GetJobId(); got != job.ID {
		t.Errorf("offered %s, want %s", got, job.ID)
	}
	other.allTaken(t)
}

func TestAgentThatLeavesIsNotConnected(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	if err := a.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; {
		_, err = a.stream.Recv()
	}
	cp.server.Stop() // waits for the handler
	if cp.Connected("db1") {
		t.Error("it counts as connected")
	}
}
