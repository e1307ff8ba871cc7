package job

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// replaceHere replaces shop in this process. When the restore has made its plan, and before it may
// exchange the two, the server is given statements.
func (y *yard) replaceHere(statements ...string) error {
	y.Helper()
	request := backup.RestoreRequest{From: local.File(y.dump), Target: "shop", Replace: true, RestoreID: "overtaken"}
	exchange := y.runner.Displacements.watch(y.Context(), &request, "")
	record := request.BeforeSwap
	request.BeforeSwap = func(replacement backup.Replacement) error {
		for _, sql := range statements {
			y.server.Exec(y.T, "postgres", sql)
		}
		return record(replacement)
	}
	return exchange.end(y.Context(), y.runner.Engine.Restore(y.Context(), request))
}

// A restore whose target goes while it waits has replaced nothing, says so, and leaves nothing.
func TestReplaceWhoseTargetIsDropped(t *testing.T) {
	y := newYard(t)
	if err := y.replaceHere("DROP DATABASE shop"); err == nil {
		t.Error("it says that it has replaced shop")
	}
	if there := y.server.Databases(t); !slices.Equal(there, []string{"postgres"}) {
		t.Errorf("there is %v", there)
	}
	if kept, err := y.runner.State.Displaced.All(); len(kept) != 0 || err != nil {
		t.Errorf("kept is %+v, %v", kept, err)
	}
}

// A restore never moves aside another database than the one that it has recorded: an undo would not find it.
func TestReplaceWhoseTargetIsAnotherByNow(t *testing.T) {
	y := newYard(t)
	if err := y.replaceHere("ALTER DATABASE shop RENAME TO moved", "CREATE DATABASE shop"); err == nil {
		t.Error("it says that it has replaced shop")
	}
	if there := y.server.Databases(t); !slices.Equal(there, []string{"moved", "postgres", "shop"}) {
		t.Errorf("there is %v", there)
	}
	if kept, err := y.runner.State.Displaced.All(); len(kept) != 0 || err != nil {
		t.Errorf("kept is %+v, %v", kept, err)
	}
}

// Struck between the exchange and its end, a restore leaves nothing of what was fetched for it.
func TestRecoveredReplaceLeavesNothingFetched(t *testing.T) {
	y := newYard(t)
	incoming := y.runner.Engine.Store
	fetched, err := incoming.CreateIncoming("overtaken", store.Dump)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fetched.Close(), y.replaceHere()); err != nil {
		t.Fatal(err)
	}
	work, err := y.runner.State.Records.Begin(state.Record{ID: "restore-overtaken", Restore: &state.Restore{ID: "overtaken", Target: "shop", Replace: true}})
	if err != nil {
		t.Fatal(err)
	}
	y.runner.Recovery.recoverWork(t.Context(), work)
	if left, err := filepath.Glob(filepath.Join(folderOf(y.runner.Engine).Dir(), ".incoming", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if in := y.inService(); in != "new" {
		t.Errorf("the %s one is in service", in)
	}
}

// What was replaced under a clock that was years behind is kept for its days anyway.
func TestDisplacedThroughAClockThatIsSet(t *testing.T) {
	y := newYard(t)
	right := time.Now()
	now := right
	y.runner.Clock.now = func() time.Time { return now }
	y.runner.Clock.trusted()
	now = right.AddDate(-5, 0, 0)
	if err := y.replaceHere(); err != nil {
		t.Fatal(err)
	}
	y.runner.Displacements.maintain(t.Context())
	set := func(to time.Time) []string {
		now = to
		if err := y.runner.Clock.guard.Confirm(now, now); err != nil {
			t.Fatal(err)
		}
		y.runner.Displacements.maintain(t.Context())
		return y.beside()
	}
	for _, later := range []time.Duration{0, 7*24*time.Hour - time.Second} {
		if left := set(right.Add(later)); len(left) != 1 {
			t.Errorf("%s after the clock was set, there is %v", later, left)
		}
	}
	if left := set(right.AddDate(0, 0, 7)); len(left) != 0 {
		t.Errorf("past its time, there is %v", left)
	}
}
