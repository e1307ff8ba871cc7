package job

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func location(tb testing.TB, name string) *time.Location {
	tb.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func TestScheduleOverClockChanges(t *testing.T) {
	tests := map[string]struct {
		cron, zone, after string
		want              []string // UTC
	}{
		"night before summer time": {"30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z",
			[]string{"2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}},
		"the hour that comes twice": {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"}},
		"restart between the two": {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z",
			[]string{"2026-10-26T01:30:00Z"}},
		"restart in the hour after the one left out": {"30 2 * * *", "Europe/Berlin", "2026-03-29T01:10:00Z",
			[]string{"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}},
		"every quarter of an hour": {"*/15 * * * *", "Europe/Berlin", "2026-03-29T00:44:00Z",
			[]string{"2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"}},
		"midnight left out": {"0 0 * * *", "America/Sao_Paulo", "2015-10-17T12:00:00Z",
			[]string{"2015-10-18T03:00:00Z", "2015-10-19T02:00:00Z"}},
		"half an hour of summer time": {"45 1 * * *", "Australia/Lord_Howe", "2026-04-03T15:00:00Z",
			[]string{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
		"day of month or of week": {"0 0 13 * 5", "UTC", "2026-11-01T12:00:00Z",
			[]string{"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			schedule, err := ParseSchedule(test.cron, location(t, test.zone))
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, test.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range test.want {
				at = schedule.Next(at)
				got = append(got, at.Format(time.RFC3339))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("due times (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever the zone does, a daily schedule is due once on each of its days.
func TestDailyScheduleIsDueOnceADay(t *testing.T) {
	zones := []string{"Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Santiago", "Africa/Cairo",
		"Asia/Beirut", "Australia/Lord_Howe", "Europe/Dublin", "America/Havana", "Asia/Kolkata", "UTC"}
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		year, month := rapid.IntRange(2015, 2030).Draw(t, "year"), rapid.IntRange(1, 12).Draw(t, "month")
		hour, minute := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
		schedule, err := ParseSchedule(fmt.Sprintf("%d %d * * *", minute, hour), zone)
		if err != nil {
			t.Fatal(err)
		}
		// From just before noon, which no zone of these leaves out.
		at := time.Date(year, time.Month(month), 1, 11, 59, 30, 0, zone)
		end := time.Date(year, time.Month(month)+1, 1, 11, 59, 30, 0, zone)
		days := map[string]int{}
		for at = schedule.Next(at); at.Before(end); at = schedule.Next(at) {
			days[at.In(zone).Format(time.DateOnly)]++
		}
		for day, n := range days {
			if n != 1 {
				t.Errorf("%s %02d:%02d is due %d times on %s", zone, hour, minute, n, day)
			}
		}
		if want := time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day(); len(days) != want {
			t.Errorf("%s %02d:%02d is due on %d days of %d", zone, hour, minute, len(days), want)
		}
	})
}

func TestScheduleRefusals(t *testing.T) {
	for _, expression := range []string{"", "0 1 * *", "60 1 * * *", "0 0 30 2 *", "CRON_TZ=UTC 0 1 * * *", "@every 5m", "daily", "* * * * * *"} {
		if _, err := ParseSchedule(expression, time.UTC); err == nil {
			t.Errorf("%q was taken for a schedule", expression)
		}
	}
}
