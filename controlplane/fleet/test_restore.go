package fleet

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/internal/shell"
	"github.com/pgharbor/pgharbor/internal/unloadable"
	"github.com/pgharbor/pgharbor/internal/words"
)

// Findings is what is known of a backup in addition to its manifest.
type Findings struct {
	Held       bool // retention leaves it alone
	HoldReason string
	HeldBy     string // "user:NAME"
	// ScrubbedAt is when its file was last read again; Damage is what was wrong
	// with it then, "" for nothing.
	ScrubbedAt  time.Time
	Damage      string
	TestRestore TestRestore // its newest test restore; zero: none
}

// The states of a test restore.
const (
	TestRestoreSucceeded = words.Succeeded
	TestRestoreFailed    = words.Failed
)

// TestRestoreMethods are the ways to restore for a test: on a server of its own, or into a
// temporary database.
var TestRestoreMethods = []string{words.TestRestoreThrowaway, words.TestRestoreInstance}

// TestRestore is how a test restore of a backup ended; kept as JSON in the catalog.
type TestRestore struct {
	State         string        `json:"state,omitempty"`
	FinishedAt    time.Time     `json:"finished_at,omitzero"`
	ServerVersion string        `json:"server_version,omitempty"`
	Method        string        `json:"method,omitempty"` // one of TestRestoreMethods
	RestoreTook   time.Duration `json:"restore_took,omitempty"`
	Took          time.Duration `json:"took,omitempty"`
	Tables        int           `json:"tables,omitempty"`
	Rows          int64         `json:"rows,omitempty"`
	Differences   []string      `json:"differences,omitempty"`
	Refuses       string        `json:"refuses,omitempty"` // what a restore into a live server refuses
}

// again makes another backup and puts it to the test.
func backUpAgain(j evaluation) string {
	return shell.Command("pgharbor backup %s --database %s, then pgharbor verify with the id that it prints", j.Instance, j.Database)
}

// spoiled is about files that are there and are not what was stored.
func spoiled(j evaluation) *Reason {
	if j.Damaged == 0 {
		return nil
	}
	return reason(VerdictDamaged, backUpAgain(j)+"; and look at the disk of the agent's BACKUP_DIR",
		"%d backups are damaged", j.Damaged).quoting("of the newest of them, " + j.Damage)
}

// failedTestRestore is about a backup that did not come back.
func failedTestRestore(j evaluation) *Reason {
	if j.TestRestored == nil || j.TestRestored.TestRestore.State != TestRestoreFailed {
		return nil
	}
	why := strings.Join(j.TestRestored.TestRestore.Differences, "; ")
	next := unloadable.NextStep(why)
	if next == "" {
		next = backUpAgain(j)
	}
	return reason(VerdictDamaged, next, "the test restore of backup %s failed", j.TestRestored.ID).quoting(why)
}

// refusal warns of a backup whose test restore succeeded, and that a restore refuses anyway; "" if
// none is.
func refusal(f Facts) string {
	tested := f.TestRestored
	if tested == nil || tested.TestRestore.State != TestRestoreSucceeded || tested.TestRestore.Refuses == "" {
		return ""
	}
	return fmt.Sprintf("a restore of backup %s of %q into a live server will be refused, without --trust-content: %s",
		tested.ID, f.Database, tested.TestRestore.Refuses)
}

// verifyLate is how long after its time a scheduled run of test restores must have begun: it waits
// for backups that are under way.
const verifyLate = 24 * time.Hour

// noTestRestore asks for a test restore if a threshold or the agent's schedule does. A test restore
// that failed is no reason here, but damage.
func noTestRestore(j evaluation) *Reason {
	next := shell.Command("pgharbor list --instance %s, then pgharbor verify the newest; BACKUP_VERIFY_SCHEDULE of the agent does so regularly", j.Instance)
	var tested time.Time
	if j.TestRestored != nil {
		tested = j.TestRestored.TestRestore.FinishedAt
	}
	due := j.Agent.Status.NextVerifyAt
	switch {
	case j.NewestBackup == nil:
		return nil // and that is worse
	case !due.IsZero() && j.now.Sub(due) >= verifyLate && tested.Before(due):
		return reason(VerdictUnproven, next, "the test restores of %s did not take place", due.Format(time.RFC3339))
	case j.TestRestoreWithin == 0:
		return nil
	case tested.IsZero():
		return reason(VerdictUnproven, next, "no backup was ever restored for a test, and a test restore is wanted every %s", j.TestRestoreWithin)
	case j.now.Sub(tested) >= j.TestRestoreWithin:
		return reason(VerdictUnproven, next, "the newest test restore is %s old, and one is wanted every %s", j.now.Sub(tested).Round(time.Hour), j.TestRestoreWithin)
	}
	return nil
}
