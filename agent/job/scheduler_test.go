package job

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/internal/pause"
)

// schedulerOf waits by a plan, and has nothing to do.
func schedulerOf(plan Plan, now func() time.Time) *scheduler {
	return &scheduler{plans: newPlans(plan), clock: &Clock{now: now}, upcoming: &upcoming{}}
}

// dueTimes are the first rounds of a daily schedule, while the clock is set as
// the test says after each of them.
func dueTimes(t *testing.T, runs int, set func(run int) time.Duration) []string {
	t.Helper()
	var due []string
	synctest.Test(t, func(t *testing.T) {
		schedule, err := ParseSchedule("0 1 * * *", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		var offset time.Duration
		s := schedulerOf(Plan{Schedule: schedule}, func() time.Time { return time.Now().Add(offset) })
		ctx, cancel := context.WithTimeout(t.Context(), 30*24*time.Hour)
		defer cancel()
		var last time.Time
		for run := range runs {
			if !s.awaitScheduledRun(ctx, &last) {
				break
			}
			due = append(due, s.clock.Now().UTC().Format("01-02 15:04"))
			offset += set(run)
		}
	})
	return due
}

func TestScheduledRunsWhenTheClockIsSet(t *testing.T) {
	tests := map[string]struct {
		set  func(run int) time.Duration
		want []string // by the clock of then
	}{
		"a steady clock": {
			func(int) time.Duration { return 0 },
			[]string{"01-01 01:00", "01-02 01:00", "01-03 01:00"},
		},
		"corrected by seconds, right after the scheduled run": {
			func(int) time.Duration { return -2 * time.Second },
			[]string{"01-01 01:00", "01-02 01:00", "01-03 01:00"},
		},
		"ten years ahead, and back": {
			func(run int) time.Duration {
				const decade = 3652 * 24 * time.Hour
				return map[int]time.Duration{0: decade, 1: -decade}[run]
			},
			[]string{"01-01 01:00", "01-01 01:00", "01-03 01:00"},
		},
		"a day back": {
			func(run int) time.Duration {
				return map[int]time.Duration{1: -24 * time.Hour}[run]
			},
			[]string{"01-01 01:00", "01-02 01:00", "01-02 01:00"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, dueTimes(t, len(test.want), test.set)); diff != "" {
				t.Errorf("scheduled runs (-want +got):\n%s", diff)
			}
		})
	}
}

// The clock jumps while the agent waits, not at a scheduled run.
func TestAWaitFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		schedule, err := ParseSchedule("0 1 * * *", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s := schedulerOf(Plan{Schedule: schedule}, func() time.Time {
			if time.Since(began) > time.Minute {
				return time.Now().Add(50 * time.Minute) // the host was asleep
			}
			return time.Now()
		})
		var last time.Time
		if !s.awaitScheduledRun(t.Context(), &last) {
			t.Fatal("it did not wait")
		}
		if took := time.Since(began); took > 11*time.Minute {
			t.Errorf("the scheduled run was due after 10 minutes and began after %s", took)
		}
	})
}

// The old script goes on for a while next to the agent, and a file that it was still writing when
// the agent began must not wait for the agent's next start.
func TestFilesOfTheOldScriptAreImportedWhenTheyCome(t *testing.T) {
	for name, of := range map[string]string{"": "postgres", "shop": "shop"} {
		r := newOffline(t, func(c *Config) { c.DefaultDatabase, c.ImportDatabase = "postgres", name })
		testImportOf(t, r, of)
	}
}

// testImportOf has a file of the old script imported, as a backup of a database.
func testImportOf(t *testing.T, r *Runner, database string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var tidying sync.WaitGroup
		tidying.Go(func() { r.scheduler.keepTidy(ctx) })
		defer tidying.Wait()
		defer stop()
		synctest.Wait()
		dump := "--\n-- PostgreSQL database dump complete\n--\n\n"
		path := filepath.Join(folderOf(r.Engine).Dir(), "backup-1999-12-31-01-00-00.sql")
		if err := os.WriteFile(path, []byte(dump), 0o600); err != nil {
			t.Fatal(err)
		}
		if !pause.For(ctx, tidyStep+time.Second) {
			t.Fatal("stopped")
		}
		synctest.Wait()
		if held := r.Inventory.Current().Backups; len(held) != 1 || !held[0].Complete || held[0].Database != database {
			t.Errorf("the inventory is %+v", held)
		}
	})
}

func TestAScheduledRunBacksUpAndPurges(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "shop")
	schedule, err := ParseSchedule("0 1 * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	// A moment before the scheduled run is due.
	began := time.Now()
	now := func() time.Time { return today.Add(-100 * time.Millisecond).Add(time.Since(began)) }
	r := newRunner(t, func(c *Config) {
		c.Plan.Schedule, c.Now, c.Plan.Databases, c.Plan.Retention.KeepLast = schedule, now, []string{"shop"}, 1
		c.Engine.Now = now
	})
	storeBackup(t, r, "shop", backupID(1), "old", today.AddDate(0, 0, -31))
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	told := func() []state.Entry {
		for ctx.Err() == nil {
			// That the newest was read again before the purge is told too.
			all := slices.DeleteFunc(entries(t, r.State), func(e state.Entry) bool { return e.Scrub != nil })
			if len(all) == 2 {
				return all
			}
			select {
			case <-r.State.Journal.Changed():
			case <-ctx.Done():
			}
		}
		return nil
	}()
	for ctx.Err() == nil && !r.Status.Last().NextPurge.After(today) {
		r.Status.Refresh(ctx)
	}
	status := r.Status.Last()
	stop()
	<-ended
	if len(told) != 2 || told[0].Run == nil || told[1].Removal == nil {
		t.Fatalf("journal: %+v", told)
	}
	if run := told[0].Run; run.State != state.StateSucceeded || run.Trigger != state.TriggerSchedule || run.Database != "shop" {
		t.Errorf("run %+v", run)
	}
	if removal := told[1].Removal; removal.BackupID != backupID(1) {
		t.Errorf("removal %+v", removal)
	}
	if !status.NextPurge.After(today) || !status.Enabled || status.Schedule != "0 1 * * *" {
		t.Errorf("status %+v", status)
	}
}
