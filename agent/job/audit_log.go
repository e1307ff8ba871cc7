package job

import (
	"log/slog"

	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// AuditLog keeps checkpoints of the control plane's audit log, as a witness of it.
type AuditLog struct {
	witness  *state.Witness
	log      *slog.Logger
	clock    *Clock
	warnings *warnings
}

// Hear takes what the control plane says of its audit log. unsigned is why the signature does not
// hold, or nil.
func (t *AuditLog) Hear(checkpoint chain.SignedCheckpoint, unsigned error) {
	err := unsigned
	if err == nil {
		err = t.witness.Take(checkpoint, t.clock.Now())
	}
	t.note(err)
}

// Checkpoint returns the newest checkpoint of the audit log that the agent holds, or nil, and
// whether somebody has said that the next one begins again.
func (t *AuditLog) Checkpoint() (checkpoint *chain.SignedCheckpoint, again bool) {
	checkpoint, again, err := t.witness.Newest()
	t.note(err)
	return checkpoint, again
}

// BeginsAgain reports whether somebody has accepted another audit log, and no checkpoint of it has
// come since. What can't be read is said if checkpoints are taken.
func (t *AuditLog) BeginsAgain() bool {
	_, again, err := t.witness.Newest()
	return err == nil && again
}

func (t *AuditLog) note(err error) {
	if err != nil && t.warnings.set(warnAuditLog, sentence("the control plane's audit log is in doubt", err)) {
		t.log.Error("the control plane's audit log is in doubt", "error", err, "hint", "pgharbor-agent trail shows what this agent has seen")
	}
	if err == nil {
		t.warnings.set(warnAuditLog, "")
	}
}
