package session

import (
	"testing"
	"time"
)

// A control plane that stays away is in the log once an hour, with since when.
func TestAWarningIsToldOnceAnHour(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var now warning
	told := 0
	for minute := range 3*60 + 1 {
		if now.news("it can't be reached", false, begin.Add(time.Duration(minute)*time.Minute)) {
			told++
		}
	}
	if told != 4 || !now.since.Equal(begin) {
		t.Errorf("told %d times, since %s", told, now.since)
	}
	later := begin.Add(4 * time.Hour)
	if !now.news("it refuses this agent", false, later) || !now.since.Equal(begin) {
		t.Error("another warning is not told")
	}
	if now.news("it refuses this agent", true, later.Add(time.Minute)); !now.since.Equal(later.Add(time.Minute)) {
		t.Errorf("after a session the warning is from before it: %s", now.since)
	}
}
