package backup

import (
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/scan"
	"github.com/pgharbor/pgharbor/internal/words"
)

// TestRestore is how a test restore of a backup ended.
type TestRestore struct {
	State         string    `json:"state"` // TestRestoreSucceeded or TestRestoreFailed
	FinishedAt    time.Time `json:"finished_at"`
	ServerVersion string    `json:"server_version,omitempty"` // "15.18"
	Method        string    `json:"method"`                   // TestRestoreThrowaway or TestRestoreInstance
	// Cage says what held the throwaway server, and what an older kernel leaves open; empty where there was none.
	Cage string `json:"cage,omitempty"`
	// RestoreTook is the verification and the load, as a restore has them too; Took is all of it.
	RestoreTook time.Duration `json:"restore_took"`
	Took        time.Duration `json:"took"`
	Tables      int           `json:"tables"` // that were counted
	Rows        int64         `json:"rows"`
	Differences []string      `json:"differences,omitempty"` // from the manifest, or why it failed; one sentence each
	// Refuses is what a restore into a live server refuses to load without TrustContent, and why; empty where it loads all. The
	// throwaway server loads it all the same.
	Refuses string `json:"refuses,omitempty"`
	// Cause is the error that made it fail, where one did, with the server's own words for this host; nil in what is remembered.
	Cause error `json:"-"`
}

// States of a TestRestore.
const (
	TestRestoreSucceeded = words.Succeeded
	TestRestoreFailed    = words.Failed
)

// Methods of a TestRestore.
const (
	TestRestoreThrowaway = words.TestRestoreThrowaway // a server of its own
	TestRestoreInstance  = words.TestRestoreInstance  // a temporary database of the instance
)

// FailedTestRestore is that of a backup that was not even put to the test.
func FailedTestRestore(err error, now time.Time) TestRestore {
	return TestRestore{State: TestRestoreFailed, FinishedAt: now.UTC(), Method: TestRestoreThrowaway, Differences: []string{err.Error()}, Cause: err}
}

// maxDifferences is how many are told; of the rest there is a number.
const maxDifferences = 20

// counted is a table of a restored database.
type counted struct {
	postgres.Table
	postgres.TableCount
}

// compare holds the rows that were counted against those that went by in the dump, both ways. A table of an extension may
// have rows that are the extension's own, and need not be in the dump.
func compare(want []scan.TableRows, got []counted) (differences []string) {
	told := 0
	tell := func(format string, args ...any) {
		if told++; told <= maxDifferences {
			differences = append(differences, fmt.Sprintf(format, args...))
		}
	}
	there := map[postgres.Table]counted{}
	for _, t := range got {
		there[t.Table] = t
	}
	expected := map[postgres.Table]int64{}
	for _, t := range want {
		expected[t.Table()] += t.Rows
	}
	for _, t := range want {
		name := t.Table()
		need, first := expected[name]
		if !first {
			continue // a manifest of somebody else's may name one twice
		}
		delete(expected, name)
		have, ok := there[name]
		delete(there, name)
		switch {
		case !ok:
			tell("table %s.%s did not come back; it had %d rows", t.Schema, t.Name, need)
		case have.Hidden:
		case have.Rows < need, have.Rows > need && !have.OfExtension:
			tell("table %s.%s has %d rows, and %d went by in the dump", t.Schema, t.Name, have.Rows, need)
		}
	}
	for _, t := range got {
		if _, left := there[t.Table]; left && !t.OfExtension {
			tell("table %s.%s, of %d rows, is not in the manifest", t.Schema, t.Name, t.Rows)
		}
	}
	if told > maxDifferences {
		differences = append(differences, fmt.Sprintf("and %d differences more", told-maxDifferences))
	}
	return differences
}
