package session_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestJobIsARowBeforeItIsOffered(t *testing.T) {
	cp := start(t)
	cp.invite(t, "db1")
	job := cp.submit(t, "db1")
	if got := cp.job(t, job.ID).State; got != fleet.JobQueued {
		t.Errorf("before anyone connects it is %s", got)
	}
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	if got := a.offer(t).GetJobId(); got != job.ID {
		t.Errorf("offered %s, want %s", got, job.ID)
	}
	if got := cp.job(t, job.ID).State; got != fleet.JobOffered {
		t.Errorf("once offered it is %s", got)
	}
	// While the session lasts, a notification is enough.
	next := cp.submit(t, "db1")
	if got := a.offer(t).GetJobId(); got != next.ID {
		t.Errorf("offered %s, want %s", got, next.ID)
	}
}

// However many jobs wait, the answer to a hello is the welcome; connect checks
// it.
func TestWelcomeComesBeforeOffers(t *testing.T) {
	cp := start(t)
	cp.invite(t, "db1")
	cp.submit(t, "db1")
	for range 50 {
		cp.connect(t, "db1", &pgharborv1.Hello{}).end()
	}
}

func TestJobIsOfferedAgainUntilItIsBegun(t *testing.T) {
	cp := start(t)
	cp.invite(t, "db1")
	job := cp.submit(t, "db1")
	for range 3 { // the offers were lost on the way, or the agent died
		a := cp.connect(t, "db1", &pgharborv1.Hello{})
		if got := a.offer(t).GetJobId(); got != job.ID {
			t.Fatalf("offered %s, want %s", got, job.ID)
		}
		a.end()
	}
	// An agent that says it has the job is not told again.
	a := cp.connect(t, "db1", &pgharborv1.Hello{RunningJobIds: []string{job.ID}})
	next := cp.submit(t, "db1")
	if got := a.offer(t).GetJobId(); got != next.ID {
		t.Fatalf("offered %s, want the next job %s", got, next.ID)
	}
	a.send(t, jobUpdate(job.ID, "dump"))
	a.send(t, jobUpdate(next.ID, "dump"))
	a.allTaken(t)
	if got := cp.job(t, job.ID); got.State != fleet.JobRunning || got.StartedAt.IsZero() || got.Progress.Phase != "dump" {
		t.Errorf("once begun it is %+v", got)
	}
	a.end()
	a = cp.connect(t, "db1", &pgharborv1.Hello{RunningJobIds: []string{job.ID, next.ID}})
	last := cp.submit(t, "db1")
	if got := a.offer(t).GetJobId(); got != last.ID {
		t.Errorf("offered %s, want %s", got, last.ID)
	}
}

func TestJobEndsOnce(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	job := cp.submit(t, "db1")
	a.offer(t)
	a.report(t, jobFinished(job.ID, "succeeded"))
	a.report(t, jobFinished(job.ID, "failed"))
	a.send(t, jobUpdate(job.ID, "dump"))
	a.allTaken(t)
	if got := cp.job(t, job.ID); got.State != fleet.JobSucceeded || got.Progress.Phase != "" {
		t.Errorf("it is %+v", got)
	}
}

// A job that the agent has forgotten is lost at once; one whose result was
// still in the journal is not.
func TestJobThatTheAgentForgotIsLost(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	forgotten, finished, held := cp.submit(t, "db1"), cp.submit(t, "db1"), cp.submit(t, "db1")
	for range 3 {
		a.send(t, jobUpdate(a.offer(t).GetJobId(), "dump"))
	}
	a.allTaken(t)
	a.end()

	a = cp.connect(t, "db1", &pgharborv1.Hello{RunningJobIds: []string{held.ID}})
	a.report(t, jobFinished(finished.ID, "succeeded"))
	a.send(t, heartbeat(&pgharborv1.Heartbeat{}))
	a.allTaken(t)
	for job, want := range map[string]fleet.JobState{forgotten.ID: fleet.JobLost, finished.ID: fleet.JobSucceeded, held.ID: fleet.JobRunning} {
		if got := cp.job(t, job).State; got != want {
			t.Errorf("a job is %s, want %s", got, want)
		}
	}
}

// Anyone who waits for a job is told in bounded time, and what the agent did is the truth when it
// arrives after all.
func TestJobThatIsNotBegunInTimeIsLostUntilItsResultComes(t *testing.T) {
	cp := start(t)
	cp.invite(t, "db1")
	var job fleet.Job
	synctest.Test(t, func(t *testing.T) {
		registry := inBubble(t, cp.folder)
		var err error
		job, err = registry.Submit(t.Context(), fleet.Job{ID: fleet.NewID(), Kind: fleet.JobBackup, Instance: "db1", RequestedBy: "user:owner"})
		if err != nil {
			t.Fatal(err)
		}
		notified, leave := registry.Notifications.Listen("job/" + job.ID)
		defer leave()
		begun := time.Now()
		<-notified
		if took := time.Since(begun); took < fleet.AcceptWithin || took > fleet.AcceptWithin+registry.Heartbeat {
			t.Errorf("it was given up after %s", took)
		}
	})
	got := cp.job(t, job.ID)
	if got.State != fleet.JobLost || got.Failure != fleet.FailureUnreachable || !strings.Contains(got.Error, "did not begin") {
		t.Errorf("it is %+v", got)
	}
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	a.report(t, jobFinished(job.ID, "succeeded"))
	if got := cp.job(t, job.ID); got.State != fleet.JobSucceeded || got.Error != "" {
		t.Errorf("after its result it is %+v", got)
	}
}

func TestRunningJobOfASilentAgentIsLost(t *testing.T) {
	cp := start(t)
	cp.invite(t, "db1")
	synctest.Test(t, func(t *testing.T) {
		registry := inBubble(t, cp.folder)
		job, err := registry.Submit(t.Context(), fleet.Job{ID: fleet.NewID(), Kind: fleet.JobBackup, Instance: "db1", RequestedBy: "user:owner"})
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.Catalog.Jobs.RecordProgress(t.Context(), "db1", job.ID, fleet.Progress{Phase: "dump"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		notified, leave := registry.Notifications.Listen("job/" + job.ID)
		defer leave()
		// It is heard from for an hour, well past the deadline to begin.
		for range 60 {
			if err := registry.Catalog.Agents.RecordSeen(t.Context(), "db1", time.Now()); err != nil {
				t.Fatal(err)
			}
			select {
			case <-notified:
				t.Fatal("the job of an agent that lives was given up")
			case <-time.After(time.Minute):
			}
		}
		silent := time.Now()
		<-notified
		if took := time.Since(silent); took < fleet.SilentWithin-time.Minute || took > fleet.SilentWithin+registry.Heartbeat {
			t.Errorf("it was given up after %s", took)
		}
		if got, err := registry.Catalog.Jobs.Get(t.Context(), job.ID); err != nil || got.State != fleet.JobLost || !strings.Contains(got.Error, "gone silent") {
			t.Errorf("it is %+v, %v", got, err)
		}
	})
}
