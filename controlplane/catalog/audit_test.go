package catalog_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// verifyAuditLog walks the chain of n entries from its start.
func verifyAuditLog(t *testing.T, c *catalog.Catalog, n int) []chain.Entry {
	t.Helper()
	var all []chain.Entry
	for query := (catalog.AuditQuery{Page: catalog.Page{Size: 1000}}); ; {
		page, next, err := c.AuditLog.List(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if query.Page.Token = next; next == "" {
			break
		}
	}
	if len(all) != n {
		t.Errorf("the audit log has %d entries, want %d", len(all), n)
	}
	previous := ""
	for i := range all {
		e := all[len(all)-1-i]
		if e.Sequence != int64(i+1) || e.PreviousHash != previous || e.Hash != e.Sum(previous) {
			t.Fatalf("entry %d does not follow: %+v", i+1, e)
		}
		previous = e.Hash
	}
	return all
}

func TestAuditLogOnlyGrows(t *testing.T) {
	c, path := open(t)
	started, err := c.AuditLog.Append(t.Context(), chain.Entry{
		At: now, Actor: "user:a", Action: "backup.restore", Instance: "db1", Target: "b", Reason: "why", Outcome: chain.OutcomeStarted, Detail: "into x",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AuditLog.Complete(t.Context(), started, chain.OutcomeFailed, "no space", now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := c.AuditLog.Complete(t.Context(), 77, chain.OutcomeFailed, "", now); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("the end of what never began: %v", err)
	}
	db := raw(t, path)
	for _, statement := range []string{
		`UPDATE audit SET reason = 'other'`, `DELETE FROM audit`, `DELETE FROM audit WHERE sequence = 2`,
		`INSERT INTO audit SELECT 9, at, actor, action, instance, target, reason, outcome, detail, completes, previous_hash, hash FROM audit WHERE sequence = 1`,
		`INSERT OR REPLACE INTO audit SELECT 1, at, 'user:b', action, instance, target, reason, outcome, detail, completes, previous_hash, hash FROM audit WHERE sequence = 1`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("the audit log let through: %s", statement)
		}
	}
	all := verifyAuditLog(t, c, 2)
	end := all[0]
	end.Sequence, end.PreviousHash, end.Hash = 0, "", ""
	want := chain.Entry{
		At: now.Add(time.Minute), Actor: "user:a", Action: "backup.restore", Instance: "db1", Target: "b", Reason: "why",
		Outcome: chain.OutcomeFailed, Detail: "no space", Completes: started,
	}
	if diff := cmp.Diff(want, end); diff != "" {
		t.Error(diff)
	}
}

func TestAuditLogOfABrokenOffControlPlaneIsCompleted(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	begin := func(target string) int64 {
		sequence, err := c.AuditLog.Append(t.Context(), chain.Entry{At: now, Actor: "user:a", Action: "backup.download", Target: target, Outcome: chain.OutcomeStarted})
		if err != nil {
			t.Fatal(err)
		}
		return sequence
	}
	ended, cut, ofJob := begin("ended"), begin("cut"), begin("of a job")
	if err := c.AuditLog.Complete(t.Context(), ended, chain.OutcomeSucceeded, "", now); err != nil {
		t.Fatal(err)
	}
	_, err := c.Jobs.Create(t.Context(), fleet.Job{ID: fleet.NewID(), Kind: fleet.JobRestore, Instance: "db1", CreatedAt: now, Deadline: now, AuditSequence: ofJob})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		if completed, err := c.AuditLog.Reconcile(t.Context(), now.Add(time.Hour)); err != nil || completed != want {
			t.Errorf("settled %d entries, %v, want %d", completed, err, want)
		}
	}
	last := verifyAuditLog(t, c, 5)[0]
	if last.Completes != cut || last.Target != "cut" || last.Outcome != chain.OutcomeFailed || !last.At.Equal(now.Add(time.Hour)) {
		t.Errorf("the last entry is %+v", last)
	}
}

func TestAuditLogByInstanceAndAction(t *testing.T) {
	c, _ := open(t)
	for i := range 6 {
		_, err := c.AuditLog.Append(t.Context(), chain.Entry{At: now, Action: fmt.Sprint("a", i%2), Instance: fmt.Sprint("i", i%3)})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		query catalog.AuditQuery
		want  int
	}{{catalog.AuditQuery{}, 6}, {catalog.AuditQuery{Action: "a1"}, 3}, {catalog.AuditQuery{Instance: "i2"}, 2}, {catalog.AuditQuery{Action: "a1", Instance: "i2"}, 1}} {
		if got, _, err := c.AuditLog.List(t.Context(), tt.query); err != nil || len(got) != tt.want {
			t.Errorf("%+v: %d, %v", tt.query, len(got), err)
		}
	}
}
