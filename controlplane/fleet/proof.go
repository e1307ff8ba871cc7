package fleet

import (
	"strings"
	"time"
)

// Findings is what is known of a backup beside its manifest.
type Findings struct {
	Held       bool // retention leaves it alone
	HoldReason string
	HeldBy     string // "user:NAME"
	// ScrubbedAt is when its file was last read again; Damage is what was wrong
	// with it then, "" for nothing.
	ScrubbedAt time.Time
	Damage     string
	Proof      Proof // its newest test restore; zero: none
}

// The states of a proof.
const (
	ProofSucceeded = "succeeded"
	ProofFailed    = "failed"
)

// Proof is how a test restore of a backup ended; kept as JSON in the catalog.
type Proof struct {
	State         string        `json:"state,omitempty"`
	FinishedAt    time.Time     `json:"finished_at,omitzero"`
	ServerVersion string        `json:"server_version,omitempty"`
	Method        string        `json:"method,omitempty"` // "throwaway" or "instance"
	RestoreTook   time.Duration `json:"restore_took,omitempty"`
	Took          time.Duration `json:"took,omitempty"`
	Tables        int           `json:"tables,omitempty"`
	Rows          int64         `json:"rows,omitempty"`
	Differences   []string      `json:"differences,omitempty"`
}

// spoiled is about files that are there and are not what was stored.
func spoiled(j judging) *Reason {
	if j.Damaged == 0 {
		return nil
	}
	return reason(VerdictDamaged, "pgharbor backup "+j.Instance+", and look at the disk of the agent's BACKUP_DIR",
		"%d backups are damaged; of the newest of them, %s", j.Damaged, j.Damage)
}

// disproved is about a backup that did not come back.
func disproved(j judging) *Reason {
	if j.Proved == nil || j.Proved.Proof.State != ProofFailed {
		return nil
	}
	return reason(VerdictDamaged, "pgharbor backup "+j.Instance+", then pgharbor verify the new one",
		"the test restore of backup %s failed: %s", j.Proved.ID, strings.Join(j.Proved.Proof.Differences, "; "))
}
