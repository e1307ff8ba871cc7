package catalog_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// A page starts where the last one ended, whatever was added meanwhile.
func TestPagesWhileRowsAreAdded(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	want := map[string]bool{}
	for i := range 25 { // five share each moment
		r := aRun("db1", now.Add(time.Duration(i/5)*time.Second))
		record(t, c, r, nil)
		want[r.ID] = true
	}
	got := map[string]bool{}
	query := catalog.RunQuery{Page: catalog.Page{Size: 4}}
	for pages := 1; ; pages++ {
		runs, next, err := c.Runs.List(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			if got[r.ID] {
				t.Errorf("%s was listed twice", r.ID)
			}
			got[r.ID] = true
		}
		record(t, c, aRun("db1", now.Add(time.Hour)), nil) // newer than all of them
		if query.Page.Token = next; next == "" {
			if pages != 7 {
				t.Errorf("25 rows took %d pages of 4", pages)
			}
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPageTokenThatWasMadeUpIsRefused(t *testing.T) {
	c, _ := open(t)
	for _, token := range []string{"x", "AAAA", "MTIz", "not base64!", "OyBEUk9QIFRBQkxF"} {
		if _, _, err := c.Runs.List(t.Context(), catalog.RunQuery{Page: catalog.Page{Token: token}}); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%q: %v", token, err)
		}
		if _, _, err := c.AuditLog.List(t.Context(), catalog.AuditQuery{Page: catalog.Page{Token: token}}); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%q for the audit log: %v", token, err)
		}
	}
}

func TestPageSizeHasABound(t *testing.T) {
	c, path := open(t)
	_, err := raw(t, path).ExecContext(t.Context(), `
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)
		INSERT INTO audit SELECT i, 0, '', '', '', '', '', '', '', 0, '', '' FROM n`)
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]int{-1: 100, 0: 100, 1: 1, 1000: 1000, 1 << 30: 1000} {
		entries, next, err := c.AuditLog.List(t.Context(), catalog.AuditQuery{Page: catalog.Page{Size: size}})
		if err != nil || len(entries) != want || next == "" {
			t.Errorf("a page of %d: %d entries, next %q, %v", size, len(entries), next, err)
		}
	}
}
