package job

import (
	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// HearTrailHead takes what the control plane says of its trail. unsigned is why the
// signature does not hold, or nil.
func (r *Runner) HearTrailHead(head chain.SignedHead, unsigned error) {
	err := unsigned
	if err == nil {
		err = r.State.Witness.Take(head, r.Now())
	}
	r.noteTrail(err)
}

// TrailHead returns the newest head of the trail that the agent holds, or nil, and
// whether somebody has said that the next one begins anew.
func (r *Runner) TrailHead() (head *chain.SignedHead, anew bool) {
	head, anew, err := r.State.Witness.Newest()
	r.noteTrail(err)
	return head, anew
}

func (r *Runner) noteTrail(err error) {
	if err != nil && r.trouble(topicTrail, sentence("the control plane's trail is in doubt", err)) {
		r.Log.Error("the control plane's trail is in doubt", "error", err, "hint", "pgharbor-agent trail shows what this agent has seen")
	}
	if err == nil {
		r.trouble(topicTrail, "")
	}
}
