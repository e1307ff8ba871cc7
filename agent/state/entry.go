package state

import (
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/internal/words"
)

// How a run or a job ended.
const (
	StateRunning   = words.Running // a run only
	StateSucceeded = words.Succeeded
	StateFailed    = words.Failed
)

// What caused a run.
const (
	TriggerSchedule = "schedule"
	TriggerManual   = "manual"
)

// Entry is a piece of news for the control plane, kept in the journal until it
// is acknowledged. One of Run, Removal, Result, Scrub and Proof is set.
type Entry struct {
	// ID is made of what the entry reports, so that the same news has the same id although it was
	// written twice.
	ID          string             `json:"id"`
	Run         *Run               `json:"run,omitempty"`
	Backup      *backup.Manifest   `json:"backup,omitempty"` // of a run that succeeded
	Removal     *Removal           `json:"removal,omitempty"`
	Result      *Result            `json:"result,omitempty"`
	Scrub       *ScrubResult       `json:"scrub,omitempty"`
	TestRestore *TestRestoreResult `json:"proof,omitempty"`
}

// Run is one attempt to back up one database. Times are UTC.
type Run struct {
	ID         string    `json:"id"`
	Database   string    `json:"database"`
	Trigger    string    `json:"trigger"`
	State      string    `json:"state"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Error      string    `json:"error,omitempty"`
	Warnings   []string  `json:"warnings,omitempty"`
	BackupID   string    `json:"backup_id,omitempty"`
	JobID      string    `json:"job_id,omitempty"` // of the job that asked for it
	SizeBytes  int64     `json:"size_bytes,omitempty"`

	// Words are for the history of this host alone.
	Words string `json:"-"`
}

// Succeed ends a run with the backup that it made.
func (run *Run) Succeed(manifest backup.Manifest) {
	run.State, run.BackupID = StateSucceeded, manifest.ID
	run.SizeBytes, run.Warnings = manifest.SizeBytes, manifest.Warnings
}

// Removal is a backup that retention removed, and why.
type Removal struct {
	BackupID  string         `json:"backup_id"`
	Location  store.Location `json:"location"`
	Reason    string         `json:"reason"`
	RemovedAt time.Time      `json:"removed_at"`
}

// Result is how a job of the control plane ended.
type Result struct {
	JobID string `json:"job_id"`
	State string `json:"state"`
	Error string `json:"error,omitempty"`
	// Failure is a word for scripts, as backup.Failure has it.
	Failure    string    `json:"failure,omitempty"`
	FinishedAt time.Time `json:"finished_at"`
	// Outcome is of a restore that replaced a database, or of an undo.
	Outcome *RestoreOutcome `json:"outcome,omitempty"`
	// Checks are what a preflight found.
	Checks []backup.Check `json:"checks,omitempty"`
	// Warnings are what a restored database lacks.
	Warnings []string `json:"warnings,omitempty"`

	// About is for the history of this host alone.
	About About `json:"-"`
}

// About is what the history has of a job in addition to its result.
type About struct {
	Kind, Database, BackupID string
	StartedAt                time.Time
	Words                    string // as in Ended
}

// RestoreOutcome is what became of the database that a restore replaced. Kept is empty if nothing
// is kept any more.
type RestoreOutcome struct {
	RestoreID string    `json:"restore_id"`
	Displaced string    `json:"kept,omitempty"`
	Until     time.Time `json:"until,omitzero"`
	UndoneAt  time.Time `json:"undone_at,omitzero"`
}

// ScrubResult is what a look at a stored file found.
type ScrubResult struct {
	BackupID   string    `json:"backup_id"`
	ScrubbedAt time.Time `json:"scrubbed_at"`
	Damage     string    `json:"damage,omitempty"` // "": the file is as it was written
}

// TestRestoreResult is how a test restore ended.
type TestRestoreResult struct {
	BackupID    string       `json:"backup_id"`
	TestRestore backup.Proof `json:"proof"`
}

// RunEntry tells how a run ended; the manifest is nil unless it succeeded.
func RunEntry(run Run, manifest *backup.Manifest) Entry {
	return Entry{ID: "run-" + run.ID, Run: &run, Backup: manifest}
}

// RemovalEntry tells that a backup was removed.
func RemovalEntry(removal Removal) Entry {
	return Entry{ID: "removal-" + removal.BackupID, Removal: &removal}
}

// ResultEntry tells how a job ended.
func ResultEntry(result Result) Entry {
	return Entry{ID: resultID(result.JobID), Result: &result}
}

// ScrubEntry tells what a look at a stored file found.
func ScrubEntry(scrub ScrubResult) Entry {
	return Entry{ID: fmt.Sprintf("scrub-%s-%d", scrub.BackupID, scrub.ScrubbedAt.UnixMilli()), Scrub: &scrub}
}

// TestRestoreEntry tells how a test restore ended.
func TestRestoreEntry(testRestore TestRestoreResult) Entry {
	return Entry{ID: fmt.Sprintf("proof-%s-%d", testRestore.BackupID, testRestore.TestRestore.FinishedAt.UnixMilli()), TestRestore: &testRestore}
}

func resultID(jobID string) string { return resultPrefix + jobID }

const resultPrefix = "job-"
