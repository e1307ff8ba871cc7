package fleet_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const heartbeat = 10 * time.Second

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// good is all that is known of a database that is well.
func good() fleet.Facts {
	return fleet.Facts{
		Instance: "db1", Database: "shop", LastSeenAt: now,
		NewestBackup: &fleet.Backup{CreatedAt: now}, NewestRun: &fleet.Run{State: fleet.RunSucceeded},
	}
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*fleet.Facts)
		want   []fleet.Verdict // of the reasons, worst first
	}{
		{"good", func(*fleet.Facts) {}, nil},
		{"nearly 26 h old", func(f *fleet.Facts) { f.NewestBackup.CreatedAt = now.Add(-26*time.Hour + time.Microsecond) }, nil},
		{"26 h old", func(f *fleet.Facts) { f.NewestBackup.CreatedAt = now.Add(-26 * time.Hour) }, []fleet.Verdict{fleet.VerdictStale}},
		{"no backup", func(f *fleet.Facts) { f.NewestBackup = nil }, []fleet.Verdict{fleet.VerdictStale}},
		{"an hour ahead", func(f *fleet.Facts) { f.NewestBackup.CreatedAt = now.Add(time.Hour) }, nil},
		{"years ahead", func(f *fleet.Facts) { f.NewestBackup.CreatedAt = now.AddDate(10, 0, 0) }, []fleet.Verdict{fleet.VerdictStale}},
		{"nearly 3 heartbeats", func(f *fleet.Facts) { f.LastSeenAt = now.Add(-3*heartbeat + time.Microsecond) }, nil},
		{"3 heartbeats", func(f *fleet.Facts) { f.LastSeenAt = now.Add(-3 * heartbeat) }, []fleet.Verdict{fleet.VerdictSilent}},
		{"never connected", func(f *fleet.Facts) { f.LastSeenAt = time.Time{} }, []fleet.Verdict{fleet.VerdictUnknown}},
		{"no database known", func(f *fleet.Facts) { f.Database = "" }, []fleet.Verdict{fleet.VerdictUnknown}},
		{"no database known, silent", func(f *fleet.Facts) { f.Database, f.LastSeenAt = "", now.Add(-time.Hour) },
			[]fleet.Verdict{fleet.VerdictUnknown, fleet.VerdictSilent}},
		{"the newest run failed", func(f *fleet.Facts) { f.NewestRun.State = fleet.RunFailed }, []fleet.Verdict{fleet.VerdictFailed}},
		{"no run yet, an adopted backup", func(f *fleet.Facts) { f.NewestRun = nil }, nil},
		{"a file is missing", func(f *fleet.Facts) { f.Missing = 1 }, []fleet.Verdict{fleet.VerdictDamaged}},
		{"a second agent, refused just now", func(f *fleet.Facts) { f.Duplicate = fleet.Duplicate{Host: "db2", At: now} },
			[]fleet.Verdict{fleet.VerdictDuplicate}},
		{"a second agent, not seen again", func(f *fleet.Facts) { f.Duplicate.At = now.Add(-fleet.DuplicateFor) }, nil},
		{"all at once", func(f *fleet.Facts) {
			*f = fleet.Facts{Instance: "db1", Database: "shop", LastSeenAt: now.Add(-time.Hour), NewestRun: &fleet.Run{State: fleet.RunFailed}, Missing: 2}
		}, []fleet.Verdict{fleet.VerdictDamaged, fleet.VerdictFailed, fleet.VerdictSilent, fleet.VerdictStale}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := good()
			tt.change(&facts)
			judgement := fleet.Judge(facts, now, heartbeat)
			var reasons []fleet.Verdict
			for _, r := range judgement.Reasons {
				reasons = append(reasons, r.Verdict)
				if r.Text == "" || r.NextStep == "" {
					t.Errorf("a reason lacks its text or its next step: %+v", r)
				}
			}
			if diff := cmp.Diff(tt.want, reasons); diff != "" {
				t.Error(diff)
			}
			if want := append(tt.want, fleet.VerdictOK)[0]; judgement.Verdict != want {
				t.Errorf("the verdict is %s, want %s", judgement.Verdict, want)
			}
		})
	}
}

func TestWorse(t *testing.T) {
	order := []fleet.Verdict{
		fleet.VerdictDamaged, fleet.VerdictFailed, fleet.VerdictDuplicate, fleet.VerdictUnknown, fleet.VerdictSilent, fleet.VerdictStale, fleet.VerdictOK,
	}
	shuffled := []fleet.Verdict{order[3], order[5], order[0], order[6], order[2], order[4], order[1]}
	slices.SortFunc(shuffled, fleet.Worse)
	if diff := cmp.Diff(order, shuffled); diff != "" {
		t.Error(diff)
	}
}

func TestIDs(t *testing.T) {
	if a, b := fleet.NewID(), fleet.NewID(); a == b || !fleet.ValidID(a) {
		t.Errorf("made %q and %q", a, b)
	}
	for _, id := range []string{"", "abcdefghijklmno", "abcdefghijklmnopq", "ABCDEFGHIJKLMNOP", "../../etc/passwd", "abcdefghijklmno\n", "ääääääää", "abcdefghijklmno\x00"} {
		if fleet.ValidID(id) {
			t.Errorf("%q is valid", id)
		}
	}
}
