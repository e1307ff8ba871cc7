package job

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/state"
)

// madeUp is a kind of job for tests, which does what it is told.
type madeUp struct {
	kind   string
	spec   error  // what is wrong with it
	denied string // what the host does not allow of it
	does   func(context.Context, *task) error
}

func (m madeUp) Kind() string                 { return m.kind }
func (m madeUp) check() error                 { return m.spec }
func (m madeUp) about() state.About           { return state.About{Database: "shop", BackupID: "backup1"} }
func (m madeUp) refused(policy.Policy) string { return m.denied }
func (m madeUp) run(ctx context.Context, _ *workers, task *task) error {
	return m.does(ctx, task)
}

// A job of any kind ends as a result in the journal, and in the history of the host.
func TestAJobOfAnyKindEndsInTheJournal(t *testing.T) {
	ran := func(context.Context, *task) error { return nil }
	for name, test := range map[string]struct {
		spec           madeUp
		state, failure string
		runs           bool
	}{
		"a good one":      {madeUp{kind: "backup", does: ran}, state.StateSucceeded, "", true},
		"one that fails":  {madeUp{kind: "backup", does: func(context.Context, *task) error { return backup.ErrDamaged }}, state.StateFailed, backup.FailureIntegrity, true},
		"no sense":        {madeUp{kind: "backup", spec: errSpec, does: ran}, state.StateFailed, backup.FailureOther, false},
		"a denied kind":   {madeUp{kind: "made-up", does: ran}, state.StateFailed, backup.FailureNotAllowed, false},
		"a denied detail": {madeUp{kind: "backup", denied: "that", does: ran}, state.StateFailed, backup.FailureNotAllowed, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, does, ran := newOffline(t, nil), test.spec.does, false
			test.spec.does = func(ctx context.Context, task *task) error {
				ran = true
				task.progress(backup.Progress{Phase: PhaseSend})
				if jobs := r.Queue.Jobs(); len(jobs) != 1 || jobs[0].Phase != PhaseSend {
					t.Errorf("jobs %+v", jobs)
				}
				task.result.Warnings = []string{"something is missing"}
				return does(ctx, task)
			}
			result := accept(t, r, Job{ID: "job1", Spec: test.spec})
			if result.State != test.state || result.Failure != test.failure || ran != test.runs || ran && len(result.Warnings) != 1 {
				t.Errorf("result %+v, and that it ran is %t", result, ran)
			}
			if all, err := r.State.History.All(); err != nil || len(all) != 1 || all[0].Kind != test.spec.kind || all[0].Database != "shop" || all[0].State != test.state {
				t.Errorf("history %+v, %v", all, err)
			}
			if works, err := r.State.Records.Abandoned(); len(works) != 0 || err != nil {
				t.Errorf("records are left: %v, %v", works, err)
			}
		})
	}
}

// What ends with the agent is said to be interrupted, whatever broke in it.
func TestAJobThatEndsWithItsAgentIsInterrupted(t *testing.T) {
	r := newOffline(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	r.Queue.Accept(ctx, Job{ID: "job1", Spec: madeUp{kind: "backup", does: func(ctx context.Context, _ *task) error {
		stop()
		<-ctx.Done()
		return errors.New("some consequence")
	}}})
	r.Wait()
	if told := entries(t, r.State); len(told) != 1 || told[0].Result.Error != errInterrupted.Error() {
		t.Errorf("journal %+v", told)
	}
}

// However many jobs are offered, the queue takes a bounded number of them, and more once there is room.
func TestTheQueueIsBounded(t *testing.T) {
	r := newOffline(t, nil)
	synctest.Test(t, func(t *testing.T) {
		unlock := make(chan struct{})
		spec := madeUp{kind: "backup", does: func(context.Context, *task) error { <-unlock; return nil }}
		for n := range 2 * maxJobs {
			r.Queue.Accept(t.Context(), Job{ID: backupID(n), Spec: spec})
		}
		if waiting := len(r.Queue.Jobs()); waiting != maxJobs {
			t.Errorf("%d jobs wait, and at most %d may", waiting, maxJobs)
		}
		close(unlock)
		r.Wait()
		r.Queue.Accept(t.Context(), Job{ID: "later", Spec: spec})
		if len(r.Queue.Jobs()) != 1 {
			t.Error("there is room, and no job is taken")
		}
		r.Wait()
	})
}
