package job

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgharbor/pgharbor/internal/pause"
)

func scheduleOf(t *testing.T, expression string) *Schedule {
	t.Helper()
	schedule, err := ParseSchedule(expression, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return schedule
}

// Anyone who waits by a plan goes on by the next one: with an earlier scheduled run, with a later
// one, or from no schedule at all.
func TestAnotherPlanWakesWhoWaits(t *testing.T) {
	for name, test := range map[string]struct {
		before, after *Schedule
		want          string
	}{
		"earlier":              {scheduleOf(t, "0 5 * * *"), scheduleOf(t, "0 2 * * *"), "02:00"},
		"later":                {scheduleOf(t, "0 2 * * *"), scheduleOf(t, "0 5 * * *"), "05:00"},
		"from no schedule":     {nil, scheduleOf(t, "0 3 * * *"), "03:00"},
		"due as it is changed": {scheduleOf(t, "0 5 * * *"), scheduleOf(t, "0 1 * * *"), "01:00"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := schedulerOf(Plan{Schedule: test.before}, time.Now)
				time.AfterFunc(time.Hour, func() { s.plans.Set(Plan{Schedule: test.after}) })
				var last time.Time
				if !s.awaitScheduledRun(t.Context(), &last) {
					t.Fatal("it did not wait")
				}
				if got := time.Now().UTC().Format("15:04"); got != test.want {
					t.Errorf("the scheduled run began at %s, want %s", got, test.want)
				}
				if next, _ := s.upcoming.times(); !next.Equal(test.after.Next(time.Now())) {
					t.Errorf("the next scheduled run is told to be at %s", next)
				}
			})
		})
	}
}

// Without a schedule there is no scheduled run, and nobody is told of one.
func TestAPlanWithoutAScheduleHasNoScheduledRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := schedulerOf(Plan{Schedule: scheduleOf(t, "0 5 * * *")}, time.Now)
		began := make(chan bool, 1)
		go func() {
			var last time.Time
			began <- s.awaitScheduledRun(t.Context(), &last)
		}()
		synctest.Wait()
		s.plans.Set(Plan{})
		pause.For(t.Context(), 7*24*time.Hour)
		if next, _ := s.upcoming.times(); len(began) != 0 || !next.IsZero() {
			t.Errorf("a scheduled run began, or is told to be at %s", next)
		}
		s.plans.Set(Plan{Schedule: scheduleOf(t, "@hourly")})
		if !<-began {
			t.Error("it ended")
		}
	})
}

// Other rules of retention say something else of the same backups, and the control
// plane is told.
func TestAnotherPlanMakesTheInventoryAgain(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 90, 60, 1)
	if kept := r.Inventory.Current().Backups[0].Retention.Keep; kept {
		t.Fatal("a backup of 90 days is kept")
	}
	plan := r.Plans.Get()
	plan.Retention.Days = 365
	r.Plans.Set(plan)
	select {
	case <-r.Inventory.Changed():
	default:
		t.Error("the session is not told")
	}
	if kept := r.Inventory.Current().Backups[0].Retention.Keep; !kept {
		t.Error("a backup of 90 days is not kept, where those of a year are")
	}
}
