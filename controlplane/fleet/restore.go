package fleet

import "time"

// Restore is a restore, or the preview of one: the job, and what came of it in addition to its end.
type Restore struct {
	Job
	RestoreOutcome
	Checks []PreflightCheck
	// Warnings are what the restored database lacks, in its agent's words.
	Warnings []string
}

// RestoreOutcome is what became of the database that a restore replaced.
type RestoreOutcome struct {
	RestoreID string
	// Displaced is the name under which that database is kept, or after an undo the restored one;
	// empty if neither is.
	Displaced      string
	DisplacedUntil time.Time // zero: until it is dropped by hand
	UndoneAt       time.Time
}

// UndoWindow is how long after a replacement its maker may take it back on the consent that they
// had for it.
const UndoWindow = 15 * time.Minute

// CoversUndo reports whether what was said of a replacement covers its undo too, by a caller and at
// a moment. Later than the window, nobody knows here what was written to the new database
// meanwhile, so it counts as written to; and so it does if the agent's clock says nothing.
func (r Restore) CoversUndo(by Caller, now time.Time) bool {
	since := now.Sub(r.FinishedAt)
	return r.State == JobSucceeded && r.RequestedBy == by.String() && !r.FinishedAt.IsZero() && since < UndoWindow && since > -ClockSkew
}

// PreflightCheck is one line of a preflight; Result is a word of the agent's: "OK", "WARN" or
// "FAILED".
type PreflightCheck struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}
