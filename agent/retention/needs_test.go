package retention

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgharbor/pgharbor/internal/subject"
)

// wholeInstance is a series that this pgharbor does not know.
var wholeInstance = subject.Series{Subject: subject.Instance(), Kind: subject.ReadKind("unheard")}

// aged is a good dump of a database, as many days old.
func aged(id string, days int, dependsOn ...string) Backup {
	return Backup{ID: id, Of: subject.LogicalOf("x"), CreatedAt: ago(time.Duration(days) * day), Good: true, DependsOn: dependsOn}
}

func statuses(backups []Backup) (all []string) {
	for _, d := range Plan(backups, Policy{Days: 30, KeepLast: 1}, now) {
		all = append(all, d.ID+" "+d.Status)
	}
	return all
}

func TestWhatABackupThatStaysDependsOnStays(t *testing.T) {
	held := aged("held", 90, "base")
	held.Held = true
	bad := func(b Backup) Backup { b.Good = false; return b }
	for name, test := range map[string]struct {
		backups []Backup
		want    []string
	}{
		"a chain whose newest link is young": {
			[]Backup{aged("base", 50), aged("one", 40, "base"), aged("two", 2, "one")},
			[]string{"base kept-needed", "one kept-needed", "two kept"},
		},
		"a chain whose newest link is kept as the last": {
			[]Backup{aged("base", 50), aged("one", 45, "base"), aged("two", 40, "one")},
			[]string{"base kept-needed", "one kept-needed", "two kept-last"},
		},
		"an older chain goes as a whole": {
			[]Backup{aged("base", 50), aged("one", 45, "base"), aged("base2", 3), aged("one2", 2, "base2")},
			[]string{"base expired", "one expired", "base2 kept", "one2 kept"},
		},
		"a link in the middle that nothing needs any more goes": {
			[]Backup{aged("base", 50), aged("one", 45, "base"), aged("two", 2, "base")},
			[]string{"base kept-needed", "one expired", "two kept"},
		},
		"by one that is held": {
			[]Backup{aged("base", 100), held, aged("new", 1)},
			[]string{"base kept-needed", "held kept", "new kept"},
		},
		"a base that is damaged stays with what depends on it, and counts for nothing": {
			[]Backup{aged("good", 60), bad(aged("base", 50)), aged("one", 2, "base")},
			[]string{"good kept-last", "base kept", "one kept"},
		},
		"of another series": {
			[]Backup{{ID: "base", Of: subject.LogicalOf("y"), CreatedAt: ago(50 * day), Good: true}, {ID: "y", Of: subject.LogicalOf("y"), CreatedAt: ago(day), Good: true}, aged("one", 2, "base")},
			[]string{"base kept-needed", "y kept", "one kept"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := gocmp.Diff(test.want, statuses(test.backups)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsNeededIsSaidByWhom(t *testing.T) {
	got := Plan([]Backup{aged("base", 50), aged("one", 2, "base")}, Policy{30, 1}, now)[0]
	want := Decision{"base", true, StatusNeeded, ago(20 * day), "it is past its days, but the backup one, which stays, depends on it"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatDependsOnTheUnknownOrOnItselfStays(t *testing.T) {
	for name, test := range map[string]struct {
		backups []Backup
		because string
	}{
		"an unknown id":        {[]Backup{aged("a", 90, "gone"), aged("new", 1)}, "gone, which is not known here"},
		"an unknown id, far":   {[]Backup{aged("a", 90, "b"), aged("b", 91, "gone"), aged("new", 1)}, "gone, which is not known here"},
		"itself":               {[]Backup{aged("a", 90, "a"), aged("new", 1)}, "depends on itself"},
		"a circle":             {[]Backup{aged("a", 90, "b"), aged("b", 91, "c"), aged("c", 92, "a"), aged("new", 1)}, "depends on itself"},
		"a circle that it met": {[]Backup{aged("b", 91, "c"), aged("c", 92, "b"), aged("new", 1)}, "depends on itself"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, d := range Plan(test.backups, Policy{Days: 30, KeepLast: 1}, now) {
				if !d.Keep || d.Status != StatusKept || d.ID != "new" && !strings.Contains(d.Reason, test.because) {
					t.Errorf("%+v", d)
				}
			}
		})
	}
}

func TestABackupWithoutWhatItDependsOnCountsForNothing(t *testing.T) {
	got := statuses([]Backup{aged("older", 60), aged("old", 50), aged("broken", 40, "gone")})
	want := []string{"older kept", "old kept-last", "broken kept"} // all stays while the newest is no good one
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestALaterKindDoesNotTakeThePlaceOfAnother(t *testing.T) {
	base := func(id string, days int) Backup {
		b := aged(id, days)
		b.Of.Kind = subject.ReadKind("unheard")
		return b
	}
	got := statuses([]Backup{aged("dump2", 50), aged("dump", 40), base("base", 35), base("base2", 1)})
	want := []string{"dump2 expired", "dump kept-last", "base kept", "base2 kept"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatOnlyANewerOneKnowsStays(t *testing.T) {
	for name, of := range map[string]subject.Series{
		"a kind":    {Subject: subject.Database("x"), Kind: subject.ReadKind("unheard")},
		"a subject": {Subject: subject.Instance()},
	} {
		backups := []Backup{{ID: "old", Of: of, CreatedAt: ago(400 * day), Good: true}, {ID: "new", Of: of, CreatedAt: ago(day), Good: true}}
		d := Plan(backups, Policy{Days: 30, KeepLast: 1}, now)[0]
		if !d.Keep || d.Status != StatusKept || !strings.Contains(d.Reason, "of a newer pgharbor") {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestNothingThatStaysLacksWhatItDependsOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.IntRange(1, 12).Draw(t, "backups")
		var backups []Backup
		for i := range ids {
			var needed []string
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, ids), 0, 2).Draw(t, "depends on") { // ids is not known
				needed = append(needed, fmt.Sprint(n))
			}
			b := aged(fmt.Sprint(i), rapid.IntRange(0, 90).Draw(t, "days"), needed...)
			b.Good, b.Held = rapid.Bool().Draw(t, "good"), rapid.IntRange(0, 9).Draw(t, "held") == 0
			b.Of = rapid.SampledFrom([]subject.Series{subject.LogicalOf("x"), subject.LogicalOf("y"), wholeInstance}).Draw(t, "series")
			backups = append(backups, b)
		}
		decisions := Plan(backups, Policy{Days: 30, KeepLast: 1}, now)
		for i, d := range decisions {
			if d.ID != backups[i].ID || d.Keep != (d.Status != StatusExpired) || d.Reason == "" {
				t.Fatalf("%+v on %+v", d, backups[i])
			}
			for _, id := range backups[i].DependsOn {
				if at := slices.IndexFunc(decisions, func(o Decision) bool { return o.ID == id }); d.Keep && at >= 0 && !decisions[at].Keep {
					t.Fatalf("%+v stays, and %+v goes", d, decisions[at])
				}
			}
		}
	})
}
