package command

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.FixedZone("CET", 3600))

func TestParseSince(t *testing.T) {
	tests := map[string]time.Time{
		"7d":                        noon.AddDate(0, 0, -7),
		"0d":                        noon,
		"36h":                       noon.Add(-36 * time.Hour),
		"90m":                       noon.Add(-90 * time.Minute),
		"1h30m":                     noon.Add(-90 * time.Minute),
		"2026-11-01":                time.Date(2026, 11, 1, 0, 0, 0, 0, noon.Location()),
		"2026-11-01T10:00:00Z":      time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC),
		"2026-11-01T10:00:00+05:00": time.Date(2026, 11, 1, 5, 0, 0, 0, time.UTC),
	}
	for text, want := range tests {
		if got, err := parseSince(text, noon); err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-7d", "7", "-36h", "1.5d", "yesterday", "2026-13-01", "99999999999d", "7d7d", "1e3d"} {
		if got, err := parseSince(text, noon); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

func TestADayAgoIsTheSameHour(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(1.6e9, 1.9e9).Draw(t, "now"), 0).In(zone)
		days := rapid.IntRange(0, 4000).Draw(t, "days")
		at, err := parseSince(fmt.Sprintf("%dd", days), now)
		// An hour that a clock change leaves out is the one exception.
		if err != nil || at.After(now) || at.Hour() != now.Hour() && at.Hour() != now.Hour()+1 && at.Hour() != now.Hour()-1 {
			t.Fatalf("%d days before %v is %v, %v", days, now, at, err)
		}
	})
}

func FuzzParseSince(f *testing.F) {
	f.Add("7d")
	f.Add("2026-11-01T10:00:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := parseSince(text, noon); err == nil && at.After(noon) && len(text) < len("2026-11-01") {
			t.Errorf("%q is in the future: %v", text, at)
		}
	})
}
