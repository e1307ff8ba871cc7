package catalog_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func aSuspect(created, found time.Time) *fleet.Backup {
	b := aBackup("db1", created)
	b.Suspect, b.SuspectSince = "it is another one", found
	return &b
}

func suspectEntries(t *testing.T, c *catalog.Catalog) []chain.Entry {
	t.Helper()
	entries, _, err := c.AuditLog.List(t.Context(), catalog.AuditQuery{Action: "backup.suspect"})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// An agent told of backups of long ago that were removed long ago: they were pruned
// within minutes, and made room for as many more, with an entry each.
func TestWhatWasRemovedLongAgoIsKeptSinceItWasTold(t *testing.T) {
	c := shared(t, fleet.Share{Databases: 10, Backups: 3, Runs: 1000, Bytes: 1 << 20})
	old := now.Add(-25 * 365 * 24 * time.Hour)
	suspect := func(at time.Time) error {
		b := aSuspect(old, at)
		if err := c.Runs.Record(t.Context(), aRun("db1", at), b); err != nil {
			return err
		}
		return c.Backups.RecordRemoved(t.Context(), "db1", b.ID, "expired", old, at)
	}
	for n := range 3 {
		if err := suspect(now); err != nil {
			t.Fatalf("suspect %d: %v", n, err)
		}
	}
	for _, after := range []time.Duration{0, time.Hour, fleet.DefaultKeep.Removed} {
		prune(t, c, now.Add(after))
		if err := suspect(now.Add(after)); !errors.Is(err, fleet.ErrDenied) {
			t.Errorf("%s later there is room: %v", after, err)
		}
	}
	if n := len(suspectEntries(t, c)); n != 3 {
		t.Errorf("the audit log has %d entries", n)
	}
	prune(t, c, now.Add(longAgo))
	if err := suspect(now.Add(longAgo)); err != nil {
		t.Errorf("once they are pruned: %v", err)
	}
}

// Beyond its share, whatever makes room, an agent has one entry a day.
func TestSuspectsBeyondTheShareAreCounted(t *testing.T) {
	c, path := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	c.SetShare(fleet.Share{Databases: 10, Backups: 3, Runs: 1000, Bytes: 1 << 20})
	behind := raw(t, path)
	suspects := func(n int, at time.Time) {
		t.Helper()
		for range n {
			record(t, c, aRun("db1", at), aSuspect(at, at))
			if _, err := behind.Exec(`DELETE FROM backups`); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries := func(want int) {
		t.Helper()
		if got := suspectEntries(t, c); len(got) != want {
			t.Errorf("the audit log has %d entries, want %d: %+v", len(got), want, got)
		}
	}
	suspects(8, now)
	entries(3)
	prune(t, c, now.Add(23*time.Hour))
	entries(3)
	prune(t, c, now.Add(25*time.Hour))
	prune(t, c, now.Add(26*time.Hour))
	entries(4)
	if told := suspectEntries(t, c)[0]; !strings.HasPrefix(told.Detail, "5 more from ") || !strings.Contains(told.Detail, "it is another one") || told.Actor != "agent:db1" {
		t.Errorf("the count is told as %+v", told)
	}
	suspects(4, now.Add(30*time.Hour))
	entries(7)
	suspects(1, now.Add(60*time.Hour)) // reports the day before first
	entries(9)
	verifyAuditLog(t, c, 9)
}
