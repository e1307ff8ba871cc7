package fleet_test

import (
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// sizesOf are backups of one a day, the last of them a day ago. Their dumps are
// ten times their files.
func sizesOf(stored ...int64) []fleet.Size {
	var all []fleet.Size
	for i, size := range stored {
		all = append(all, fleet.Size{At: now.AddDate(0, 0, i-len(stored)), Stored: size, Plain: 10 * size})
	}
	return all
}

func TestSizeAnomaly(t *testing.T) {
	week := sizesOf(900, 1100, 1000, 950, 1050, 1000, 1000) // median 1000
	for _, tt := range []struct {
		name          string
		before        []fleet.Size
		stored, plain int64
		want          bool
	}{
		{"no other backup", nil, 1, 10, false},
		{"as ever", week, 1000, 10000, false},
		{"30 % more", week, 1300, 13000, false},
		{"a byte over 30 % more", week, 1300, 13001, true},
		{"30 % less", week, 700, 7000, false},
		{"a byte under 30 % less", week, 700, 6999, true},
		{"emptied", week, 10, 100, true},
		{"compression was switched on", week, 200, 10000, false},
		{"compression hides that it was emptied", week, 1000, 100, true},
		{"the dump's size is not known", week, 1301, 0, true},
		{"the dump's size is not known, and the file's is as ever", week, 1000, 0, false},
		{"the second of a new database, half more", sizesOf(1000), 1500, 15000, false},
		{"the second of a new database, twice as much", sizesOf(1000), 2000, 20000, false},
		{"the second of a new database, more than that", sizesOf(1000), 2001, 20001, true},
		{"the second of a new database, emptied", sizesOf(1000), 100, 1000, true},
		{"the fourth", sizesOf(1000, 1000, 1000), 1500, 15000, false},
		{"the fifth", sizesOf(1000, 1000, 1000, 1000), 1500, 15000, true},
		{"an even number: the mean of the middle two", sizesOf(1000, 1000, 2000, 2000), 1950, 19500, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := good()
			facts.Sizes = tt.before
			facts.NewestBackup.SizeBytes, facts.NewestBackup.Manifest.PlainSizeBytes = tt.stored, tt.plain
			verdict := fleet.Evaluate(facts, fleet.DefaultThresholds, now, heartbeat).Verdict
			if (verdict == fleet.VerdictSizeAnomaly) != tt.want {
				t.Errorf("the verdict is %s", verdict)
			}
		})
	}
}

// Many backups of one day say nothing of the days to come.
func TestSizesOfADayAreNotYetKnown(t *testing.T) {
	facts := good()
	for i := range 20 {
		facts.Sizes = append(facts.Sizes, fleet.Size{At: now.Add(time.Duration(i-20) * time.Hour), Stored: 1000, Plain: 10000})
	}
	facts.NewestBackup.SizeBytes, facts.NewestBackup.Manifest.PlainSizeBytes = 1500, 15000
	if verdict := fleet.Evaluate(facts, fleet.DefaultThresholds, now, heartbeat).Verdict; verdict != fleet.VerdictOK {
		t.Errorf("the verdict is %s", verdict)
	}
}
