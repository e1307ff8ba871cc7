package job

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/pause"
)

// dumps makes backups as a test says.
type dumps func(context.Context, backup.BackupRequest) (backup.Manifest, error)

func (f dumps) Backup(ctx context.Context, request backup.BackupRequest) (backup.Manifest, error) {
	return f(ctx, request)
}

// names are the databases of an instance; nil: it is away.
type names []string

func (n names) Databases(context.Context) (databases []postgres.Database, err error) {
	if n == nil {
		return nil, errors.New("connection refused")
	}
	for _, name := range n {
		databases = append(databases, postgres.Database{Name: name})
	}
	return databases, nil
}

// At most as many dumps run as the plan in force says, also once it says something else.
func TestAsManyDumpsRunAsThePlanAllows(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Plan.Concurrency = 2 })
	r.coverage.databasesOf = names{"a", "b", "c", "d", "e", "f"}
	var mu sync.Mutex
	running, most := 0, 0
	r.Runs.dumps = dumps(func(_ context.Context, request backup.BackupRequest) (backup.Manifest, error) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		pause.For(context.Background(), time.Minute)
		mu.Lock()
		running--
		mu.Unlock()
		return backup.Manifest{ID: request.Database}, nil
	})
	synctest.Test(t, func(t *testing.T) {
		outcomes := r.Runs.BackUp(t.Context(), Request{Trigger: state.TriggerSchedule})
		if err := Failures(outcomes); err != nil || len(outcomes) != 6 || most != 2 {
			t.Errorf("%d runs, at most %d at once, %v", len(outcomes), most, err)
		}
		plan := r.Plans.Get()
		plan.Concurrency, plan.Databases = 3, []string{"a", "b", "c", "d"}
		r.Plans.Set(plan)
		outcomes = r.Runs.BackUp(t.Context(), Request{Trigger: state.TriggerSchedule})
		if err := Failures(outcomes); err != nil || len(outcomes) != 4 || most != 3 {
			t.Errorf("by another plan: %d runs, at most %d at once, %v", len(outcomes), most, err)
		}
	})
	if told := entries(t, r.State); len(told) != 10 || len(r.Runs.Running()) != 0 {
		t.Errorf("%d runs are journaled, and %d are under way", len(told), len(r.Runs.Running()))
	}
}

// While nobody can say which databases there are, those last seen are tried, so that each has its failed run.
func TestTheDatabasesLastSeenAreTried(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.DefaultDatabase = "main" })
	r.coverage.databasesOf = names(nil)
	r.Runs.dumps = dumps(func(context.Context, backup.BackupRequest) (backup.Manifest, error) {
		return backup.Manifest{}, errors.New("connection refused")
	})
	tried := func() string {
		var all []string
		for _, outcome := range r.Runs.BackUp(t.Context(), Request{Trigger: state.TriggerSchedule}) {
			all = append(all, outcome.Run.Database+" "+outcome.Run.State)
		}
		return strings.Join(all, ", ")
	}
	if got := tried(); got != "main failed" {
		t.Errorf("of an instance that was never seen: %s", got)
	}
	storeBackup(t, r, "shop", backupID(1), "run1", time.Now())
	r.Inventory.forget()
	if got := tried(); got != "shop failed" {
		t.Errorf("with a backup: %s", got)
	}
	r.coverage.see([]Database{{Name: "shop"}, {Name: "crm"}})
	if got := tried(); got != "shop failed, crm failed" {
		t.Errorf("once it was seen: %s", got)
	}
}
