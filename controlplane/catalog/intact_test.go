package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/intact"
)

// Which backup is the newest that counts is a query here, and a rule that others share.
func TestTheNewestBackupIsOneThatCounts(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	states := map[string]func(id string) error{
		"present": func(string) error { return nil },
		"damaged": func(id string) error {
			return c.Backups.RecordScrub(t.Context(), "db1", id, now, "its hash is another")
		},
		"removed": func(id string) error { return c.Backups.RecordRemoved(t.Context(), "db1", id, "too old", now, now) },
	}
	ids := map[string]string{}
	for state, change := range states {
		for _, testRestore := range []string{"", "succeeded", "failed"} {
			for _, complete := range []bool{true, false} {
				b := aBackup("db1", now.Add(-time.Hour))
				b.Database, b.Complete = fmt.Sprintf("%s, proof %q, complete %t", state, testRestore, complete), complete
				r := aRun("db1", now.Add(-time.Hour))
				r.Database = b.Database
				record(t, c, r, &b)
				if testRestore != "" {
					if err := c.Backups.RecordTestRestore(t.Context(), "db1", b.ID, fleet.TestRestore{State: testRestore, FinishedAt: now}); err != nil {
						t.Fatal(err)
					}
				}
				if err := change(b.ID); err != nil {
					t.Fatal(err)
				}
				ids[b.Database] = b.ID
			}
		}
	}
	for _, f := range factsOf(t, c) {
		b, err := c.Backups.Get(t.Context(), ids[f.Database])
		if err != nil {
			t.Fatal(err)
		}
		if got, want := f.NewestBackup != nil, intact.Is(b.Complete, b.State, b.TestRestore.State); got != want {
			t.Errorf("%s: it counts for health: %t, by the rule: %t", f.Database, got, want)
		}
	}
}
