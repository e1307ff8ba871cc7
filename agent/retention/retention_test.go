package retention

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgharbor/pgharbor/internal/subject"
)

var now = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

func TestPlan(t *testing.T) {
	policy := Policy{Days: 30, KeepLast: 2}
	for name, test := range map[string]struct {
		backups []Backup
		want    []string // id, status
	}{
		"none": {nil, nil},
		"at 30 days to the second": {[]Backup{
			{ID: "a", CreatedAt: ago(0), Good: true}, {ID: "b", CreatedAt: ago(day), Good: true},
			{ID: "c", CreatedAt: ago(30 * day), Good: true}, {ID: "d", CreatedAt: ago(30*day + time.Second), Good: true},
		}, []string{"a kept", "b kept", "c kept", "d expired"}},
		"the newest good ones of a database that was given up": {[]Backup{
			{ID: "a", CreatedAt: ago(400 * day), Good: true}, {ID: "b", CreatedAt: ago(300 * day), Good: true},
			{ID: "c", CreatedAt: ago(200 * day), Good: true},
		}, []string{"a expired", "b kept-last", "c kept-last"}},
		"each database by itself": {[]Backup{
			{ID: "a", Of: subject.LogicalOf("x"), CreatedAt: ago(60 * day), Good: true}, {ID: "b", Of: subject.LogicalOf("y"), CreatedAt: ago(60 * day), Good: true},
			{ID: "c", Of: subject.LogicalOf("x"), CreatedAt: ago(61 * day), Good: true}, {ID: "d", Of: subject.LogicalOf("x"), CreatedAt: ago(62 * day), Good: true},
		}, []string{"a kept-last", "b kept-last", "c kept-last", "d expired"}},
		"bad ones do not count": {[]Backup{
			{ID: "a", CreatedAt: ago(40 * day), Good: true}, {ID: "b", CreatedAt: ago(41 * day)}, {ID: "c", CreatedAt: ago(42 * day)},
			{ID: "d", CreatedAt: ago(43 * day), Good: true}, {ID: "e", CreatedAt: ago(44 * day), Good: true},
		}, []string{"a kept-last", "b expired", "c expired", "d kept-last", "e expired"}},
		"all stays while the newest is bad": {[]Backup{
			{ID: "a", CreatedAt: ago(day)}, {ID: "b", CreatedAt: ago(40 * day), Good: true}, {ID: "c", CreatedAt: ago(41 * day), Good: true},
			{ID: "d", CreatedAt: ago(42 * day), Good: true},
		}, []string{"a kept", "b kept-last", "c kept-last", "d kept"}},
		"forged dates evict nothing": {[]Backup{
			{ID: "a", CreatedAt: ago(-10 * 365 * day), Good: true}, {ID: "b", CreatedAt: ago(-day), Good: true},
			{ID: "c", CreatedAt: ago(40 * day), Good: true}, {ID: "d", CreatedAt: ago(41 * day), Good: true},
			{ID: "e", CreatedAt: ago(42 * day), Good: true},
		}, []string{"a kept", "b kept", "c kept-last", "d kept-last", "e expired"}},
		"held": {[]Backup{
			{ID: "a", CreatedAt: ago(1), Good: true}, {ID: "b", CreatedAt: ago(2), Good: true},
			{ID: "c", CreatedAt: ago(99 * day), Good: true, Held: true}, {ID: "d", CreatedAt: ago(99 * day)},
		}, []string{"a kept", "b kept", "c kept", "d expired"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range Plan(test.backups, policy, now) {
				got = append(got, d.ID+" "+d.Status)
			}
			if diff := gocmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlanSaysWhyAndWhen(t *testing.T) {
	got := Plan([]Backup{{ID: "a", CreatedAt: ago(40 * day), Good: true}, {ID: "b", CreatedAt: ago(41 * day), Good: true}}, Policy{30, 1}, now)
	want := []Decision{
		{"a", true, StatusKeptLast, ago(10 * day), "it is 40 days old, but one of the newest 1 good backups of its database"},
		{"b", false, StatusExpired, ago(11 * day), "it is 41 days old, 30 days are kept, and newer good backups stay"},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPlanNeverEmptiesTheHarbour(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := Policy{Days: rapid.IntRange(-1, 40).Draw(t, "days"), KeepLast: rapid.IntRange(-1, 4).Draw(t, "keep last")}
		var backups []Backup
		for i := range rapid.IntRange(0, 30).Draw(t, "backups") {
			backups = append(backups, Backup{
				ID:        fmt.Sprint(i),
				Of:        subject.LogicalOf(rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "database")),
				CreatedAt: ago(time.Duration(rapid.IntRange(-100, 2000).Draw(t, "hours")) * time.Hour),
				Good:      rapid.Bool().Draw(t, "good"),
				Held:      rapid.IntRange(0, 9).Draw(t, "held") == 0,
			})
		}
		before := slices.Clone(backups)
		decisions := Plan(backups, policy, now)
		if diff := gocmp.Diff(before, backups, gocmp.AllowUnexported(subject.Subject{}, subject.Kind{})); diff != "" {
			t.Fatal("the backups given were changed", diff)
		}
		if len(decisions) != len(backups) {
			t.Fatalf("%d decisions on %d backups", len(decisions), len(backups))
		}
		for i, d := range decisions {
			b := backups[i]
			if d.ID != b.ID || d.Reason == "" || d.Keep != (d.Status != StatusExpired) {
				t.Fatalf("decision on %+v: %+v", b, d)
			}
			if d.Keep {
				continue
			}
			if policy.Days <= 0 || now.Sub(b.CreatedAt) <= time.Duration(policy.Days)*day {
				t.Fatalf("%+v goes and is not older than %d days", b, policy.Days)
			}
			if b.Held {
				t.Fatalf("%+v goes and is held", b)
			}
			if newest := newestOf(b.Of, backups); !newest.Good {
				t.Fatalf("%+v goes while the newest, %+v, is bad", b, newest)
			}
			if kept := goodKept(b, backups, decisions); b.Good && kept < max(1, policy.KeepLast) {
				t.Fatalf("%+v goes and only %d newer good ones stay", b, kept)
			}
		}
	})
}

func newestOf(series subject.Series, backups []Backup) Backup {
	return slices.MaxFunc(slices.DeleteFunc(slices.Clone(backups), func(b Backup) bool { return b.Of != series }),
		func(a, b Backup) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
}

// goodKept counts the good backups of b's series that stay, are not older than b, and do not claim
// to be of the future.
func goodKept(b Backup, backups []Backup, decisions []Decision) (kept int) {
	for i, other := range backups {
		if decisions[i].Keep && other.Good && other.Of == b.Of && !other.CreatedAt.Before(b.CreatedAt) && !other.CreatedAt.After(now) {
			kept++
		}
	}
	return kept
}
