package job

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/pause"
)

// However many jobs are offered, an agent takes a bounded number of them at a time, and the next once there is room.
func TestJobsThatWaitAreBounded(t *testing.T) {
	postgrestest.Shared(t).CreateDatabase(t, "crowded")
	r := newRunner(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := takeTurn(t, r.Runs.turns) // every backup waits for this one
	offer := func(n int) {
		r.Queue.Accept(ctx, Job{ID: fmt.Sprintf("job%d", n), Spec: BackupSpec{Database: "crowded"}})
	}
	for n := range 2 * maxJobs {
		offer(n)
	}
	if waiting := len(r.Queue.Jobs()); waiting != maxJobs {
		t.Errorf("%d jobs wait, and at most %d may", waiting, maxJobs)
	}
	cancel()
	r.Wait()
	ctx = t.Context()
	offer(2 * maxJobs)
	if len(r.Queue.Jobs()) != 1 {
		t.Error("there is room, and no job is taken")
	}
	done()
	r.Wait()
}

// Anyone who asks for many backups keeps the schedule waiting for one of them, and not for all.
func TestTheScheduleDoesNotWaitForAllThatIsAskedFor(t *testing.T) {
	postgrestest.Shared(t).CreateDatabase(t, "asked")
	r := newRunner(t, nil)
	made := takeTurn(t, r.Runs.turns) // a backup is being made
	const asked = 12
	for n := range asked {
		r.Queue.Accept(t.Context(), Job{ID: fmt.Sprintf("job%d", n), Spec: BackupSpec{Database: "asked"}})
	}
	for r.Queue.workers.askedRuns.inUse() == 0 { // one of them is about to wait for its turn
		if !pause.For(t.Context(), 10*time.Millisecond) {
			t.Fatal("no job begins")
		}
	}
	pause.For(t.Context(), 300*time.Millisecond)
	done := make(chan []Outcome, 1)
	go func() {
		done <- r.Runs.BackUp(t.Context(), Request{Databases: []string{"asked"}, Trigger: state.TriggerSchedule})
	}()
	pause.For(t.Context(), 300*time.Millisecond) // in which it comes to wait for its turn, too
	made()
	if err := Failures(<-done); err != nil {
		t.Error(err)
	}
	before := 0
	for _, entry := range entries(t, r.State) {
		if entry.Run != nil && entry.Run.Trigger == state.TriggerManual {
			before++
		}
	}
	if before > 2 {
		t.Errorf("%d of the %d backups that were asked for went before it", before, asked)
	}
	r.Wait()
}

// A control plane that takes no results fills no disk with them: each is a file of the state folder
// until it is acknowledged.
func TestResultsThatNobodyTakesAreBounded(t *testing.T) {
	r := newOffline(t, nil)
	for n := range 2 * maxUntold {
		r.Queue.Accept(t.Context(), Job{ID: fmt.Sprintf("job%d", n)}) // of a newer control plane: it fails at once
		if n%maxJobs == 0 {
			r.Wait()
		}
	}
	r.Wait()
	untold := pending(t, r.State.Journal)
	if len(untold) < maxUntold || len(untold) > maxUntold+maxJobs {
		t.Errorf("%d results wait to be told", len(untold))
	}
	for _, id := range untold {
		if err := r.State.Journal.Ack(id); err != nil {
			t.Fatal(err)
		}
	}
	if result := accept(t, r, Job{ID: "later"}); result.State != state.StateFailed {
		t.Errorf("once they are taken: %+v", result)
	}
}
