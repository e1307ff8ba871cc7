package job

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
)

// exchanged is a server on which a restore has put a database in the place of another.
type exchanged struct {
	stands  backup.Stands
	dropped []string
}

func (e *exchanged) FindReplacement(context.Context, backup.Replacement) (backup.Stands, error) {
	return e.stands, nil
}

func (e *exchanged) SettledReplacement(context.Context, backup.Replacement) (backup.Stands, error) {
	return e.stands, nil
}

func (e *exchanged) Undo(_ context.Context, r backup.Replacement) error {
	e.stands = backup.Stands{Known: true, Place: backup.PlaceOld, Old: r.Database, New: r.NewName}
	return nil
}

func (e *exchanged) Database(_ context.Context, name string) (postgres.Database, error) {
	return postgres.Database{Name: name, SizeBytes: 5 << 20}, nil
}

func (e *exchanged) DropDatabase(_ context.Context, name string) error {
	e.dropped, e.stands.Old = append(e.dropped, name), ""
	return nil
}

// displace has a database displaced by the restore job1, which is recorded as it is before the exchange.
func displace(t *testing.T, r *Runner) *exchanged {
	t.Helper()
	replacement := backup.Replacement{Database: "shop", OldName: "shop_replaced_1", NewName: "shop_undone_1"}
	release, err := r.State.Displaced.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := r.State.Displaced.Save(state.DisplacedDatabase{RestoreID: "job1", JobID: "job1", Replacement: replacement}); err != nil {
		t.Fatal(err)
	}
	server := &exchanged{stands: backup.Stands{Known: true, Place: backup.PlaceNew, Old: replacement.OldName, New: replacement.Database}}
	r.Displacements.exchanges, r.Displacements.databases = server, server
	return server
}

// By another plan, a displaced database that has a date keeps it, and none is dropped if all stay.
func TestADisplacedDatabaseIsDroppedAfterItsDays(t *testing.T) {
	now := today
	r := newOffline(t, func(c *Config) { c.Now, c.Plan.KeepOldDays = func() time.Time { return now }, 7 })
	server := displace(t, r)
	at := func(days int) []string {
		now = today.AddDate(0, 0, days)
		r.Clock.Hear(now)
		r.Displacements.maintain(t.Context())
		return server.dropped
	}
	if dropped := at(0); len(dropped) != 0 {
		t.Fatalf("dropped at once: %v", dropped)
	}
	plan := r.Plans.Get()
	plan.KeepOldDays = 0
	r.Plans.Set(plan)
	if dropped := at(8); len(dropped) != 0 {
		t.Errorf("dropped, while all stay: %v", dropped)
	}
	plan.KeepOldDays = 30
	r.Plans.Set(plan)
	if dropped := at(9); !slices.Equal(dropped, []string{"shop_replaced_1"}) {
		t.Errorf("dropped: %v", dropped)
	}
	at(10)
	if all, err := r.State.Displaced.All(); len(all) != 0 || err != nil {
		t.Errorf("what is gone is still recorded: %v, %v", all, err)
	}
	if told := entries(t, r.State); len(told) == 0 || told[len(told)-1].Result.Outcome.Displaced != "" {
		t.Errorf("nobody was told that nothing is kept: %+v", told)
	}
}

// An undo gives the restored database days of its own.
func TestAnUndoDisplacesTheRestoredOne(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now, c.Plan.KeepOldDays = func() time.Time { return today }, 7 })
	displace(t, r)
	if result := accept(t, r, Job{ID: "job2", Spec: UndoSpec{RestoreID: "job1"}}); result.State != state.StateSucceeded || result.Outcome.Displaced != "shop_undone_1" ||
		!result.Outcome.Until.Equal(today.AddDate(0, 0, 7)) {
		t.Errorf("result %+v", result)
	}
	if result := accept(t, r, Job{ID: "job3", Spec: UndoSpec{RestoreID: "job1"}}); result.State != state.StateFailed {
		t.Errorf("a second time: %+v", result)
	}
}
