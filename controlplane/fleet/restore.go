package fleet

import "time"

// Restore is a restore, or the preview of one: the job, and what came of it
// beside its end.
type Restore struct {
	Job
	RestoreOutcome
	Checks []RestoreCheck
}

// RestoreOutcome is what became of the database that a restore replaced.
type RestoreOutcome struct {
	RestoreID string
	// Kept is the name under which that database is kept, or after an undo the
	// restored one; empty where neither is.
	Kept      string
	KeptUntil time.Time // zero: until it is dropped by hand
	UndoneAt  time.Time
}

// RestoreCheck is one line of a look ahead; Result is a word of the agent's:
// "OK", "WARN" or "FAILED".
type RestoreCheck struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}
