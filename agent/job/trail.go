package job

import (
	"log/slog"

	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// Trail holds heads of the control plane's trail.
type Trail struct {
	witness  *state.Witness
	log      *slog.Logger
	clock    *Clock
	warnings *warnings
}

// Hear takes what the control plane says of its trail. unsigned is why the
// signature does not hold, or nil.
func (t *Trail) Hear(head chain.SignedHead, unsigned error) {
	err := unsigned
	if err == nil {
		err = t.witness.Take(head, t.clock.Now())
	}
	t.note(err)
}

// Head returns the newest head of the trail that the agent holds, or nil, and
// whether somebody has said that the next one begins again.
func (t *Trail) Head() (head *chain.SignedHead, anew bool) {
	head, anew, err := t.witness.Newest()
	t.note(err)
	return head, anew
}

// BeginsAnew reports whether somebody has accepted another trail, and no head of it has come since.
// What can't be read is said where heads are taken.
func (t *Trail) BeginsAnew() bool {
	_, anew, err := t.witness.Newest()
	return err == nil && anew
}

func (t *Trail) note(err error) {
	if err != nil && t.warnings.set(warnTrail, sentence("the control plane's trail is in doubt", err)) {
		t.log.Error("the control plane's trail is in doubt", "error", err, "hint", "pgharbor-agent trail shows what this agent has seen")
	}
	if err == nil {
		t.warnings.set(warnTrail, "")
	}
}
