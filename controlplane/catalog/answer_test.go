package catalog_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// mostBytes is what an answer may take: a MiB of texts, and one row more.
const mostBytes = 1<<20 + 2<<20

// atTheBounds is a text of so many bytes, so many times, as an agent may send it.
func atTheBounds(times, bytes int) []string {
	return slices.Repeat([]string{strings.Repeat("w", bytes)}, times)
}

// large makes rows at the bounds of their fields: runs of one job, their backups, and
// restores with checks.
func large(t *testing.T, c *catalog.Catalog, rows int) (of fleet.Job) {
	t.Helper()
	of = job(c, t, "")
	for n := range rows {
		at := now.Add(time.Duration(n) * time.Second)
		r, b := aRun("db1", at), aBackup("db1", at)
		r.JobID, r.State, r.Error, r.Warnings = of.ID, fleet.RunFailed, strings.Repeat("e", 8<<10), atTheBounds(50, 2000)
		b.Manifest.Warnings = r.Warnings
		for range 1000 {
			b.Manifest.Tables = append(b.Manifest.Tables, fleet.TableRows{Schema: "public", Name: strings.Repeat("t", 60)})
		}
		record(t, c, r, &b)
		restore := job(c, t, "")
		checks := make([]fleet.PreflightCheck, 100)
		for m := range checks {
			checks[m] = fleet.PreflightCheck{Name: "space", Result: "OK", Detail: strings.Repeat("d", 8<<10), Remedy: strings.Repeat("r", 8<<10)}
		}
		if _, err := c.Jobs.Finish(t.Context(), "db1", restore.ID, fleet.JobResult{State: fleet.JobSucceeded, FinishedAt: at, Checks: checks, Warnings: r.Warnings}, at); err != nil {
			t.Fatal(err)
		}
	}
	return of
}

func bytesOf(t *testing.T, answer any) int {
	t.Helper()
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return len(text)
}

// GetJob answered with 338 MiB once, for every run that is at its bounds.
func TestRunsOfAJobAreAsManyAsAnAnswerHasRoomFor(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	of := large(t, c, 30)
	runs, more, err := c.Runs.OfJob(t.Context(), of.ID)
	if err != nil || !more || len(runs) < 2 || bytesOf(t, runs) > mostBytes {
		t.Errorf("%d runs of %d bytes, more: %t, %v", len(runs), bytesOf(t, runs), more, err)
	}
	if !slices.IsSortedFunc(runs, func(a, b fleet.Run) int { return a.StartedAt.Compare(b.StartedAt) }) || !runs[0].StartedAt.Equal(now) {
		t.Errorf("they begin at %s, and not with the oldest", runs[0].StartedAt)
	}
	small := job(c, t, "")
	for range 30 {
		r := aRun("db1", now)
		r.JobID = small.ID
		record(t, c, r, nil)
	}
	if runs, more, err := c.Runs.OfJob(t.Context(), small.ID); err != nil || more || len(runs) != 30 {
		t.Errorf("of 30 ordinary runs %d are told, more: %t, %v", len(runs), more, err)
	}
}

// A page ends if it has grown too large, and the next one continues from there.
func TestPagesOfLargeRowsAreShort(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	const rows = 30
	large(t, c, rows)
	for name, list := range map[string]func(catalog.Page) (any, []string, string, error){
		"runs": func(p catalog.Page) (any, []string, string, error) {
			found, next, err := c.Runs.List(t.Context(), catalog.RunQuery{Page: p})
			return found, ids(found, func(r fleet.Run) string { return r.ID }), next, err
		},
		"backups": func(p catalog.Page) (any, []string, string, error) {
			found, next, err := c.Backups.List(t.Context(), catalog.BackupQuery{Page: p})
			return found, ids(found, func(b fleet.Backup) string { return b.ID }), next, err
		},
		"restores": func(p catalog.Page) (any, []string, string, error) {
			found, next, err := c.Restores.List(t.Context(), catalog.RestoreQuery{Page: p})
			found = slices.DeleteFunc(found, func(r fleet.Restore) bool { return len(r.Checks) == 0 }) // the job of the runs
			return found, ids(found, func(r fleet.Restore) string { return r.ID }), next, err
		},
	} {
		seen, pages := map[string]bool{}, 0
		for page := (catalog.Page{Size: 1000}); pages == 0 || page.Token != ""; pages++ {
			answer, found, next, err := list(page)
			if err != nil || bytesOf(t, answer) > mostBytes {
				t.Fatalf("%s: a page of %d bytes, %v", name, bytesOf(t, answer), err)
			}
			for _, id := range found {
				if seen[id] {
					t.Errorf("%s: %s is told twice", name, id)
				}
				seen[id] = true
			}
			page.Token = next
		}
		if len(seen) != rows || pages < 3 {
			t.Errorf("%s: %d rows on %d pages", name, len(seen), pages)
		}
	}
}

// A look at the fleet holds the runs and test restores of all databases at once: with all of their
// words, one agent would have it hold hundreds of MiB.
func TestALookHoldsFewWordsOfEachDatabase(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	ended, running, b := aRun("db1", now), aRun("db1", now), aBackup("db1", now)
	for _, r := range []*fleet.Run{&ended, &running} {
		r.State, r.Error, r.Warnings = fleet.RunFailed, strings.Repeat("e", 8<<10), atTheBounds(50, 2000)
	}
	running.State, running.FinishedAt = fleet.RunRunning, time.Time{}
	record(t, c, ended, &b)
	record(t, c, running, nil)
	testRestore := fleet.TestRestore{State: fleet.TestRestoreFailed, FinishedAt: now, Differences: atTheBounds(100, 1000)}
	if err := c.Backups.RecordTestRestore(t.Context(), "db1", b.ID, testRestore); err != nil {
		t.Fatal(err)
	}
	f := factsOf(t, c)["db1/shop"]
	if f.NewestRun == nil || f.Running == nil || f.TestRestored == nil {
		t.Fatalf("got %+v", f)
	}
	if size := bytesOf(t, []any{f.NewestRun, f.Running, f.TestRestored.TestRestore}); size > 16<<10 {
		t.Errorf("they take %d bytes", size)
	}
	if f.NewestRun.Error == "" || len(f.TestRestored.TestRestore.Differences) == 0 {
		t.Error("nothing is left of what they say")
	}
}
