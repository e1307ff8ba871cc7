package job

import (
	"fmt"
	"time"
)

// maxSkew is how far the clock may be off the control plane's without a word.
const maxSkew = 10 * time.Minute

// clockTrusted looks at the clock and says whether it may be gone by in removing
// what is old.
func (r *Runner) clockTrusted() bool {
	if err := r.Clock.Observe(r.Now()); err != nil {
		r.Log.Error("the clock's state can't be kept", "error", err)
	}
	trusted, reason := r.Clock.Trusted()
	if trusted {
		r.trouble(topicClock, "")
		return true
	}
	r.trouble(topicClock, "nothing is removed for now: "+reason)
	return false
}

// HearTime takes the control plane's word for what time it is: a clock that was
// suspect is trusted again where the two agree.
func (r *Runner) HearTime(controlPlane time.Time) {
	now := r.Now()
	skew := now.Sub(controlPlane).Round(time.Second)
	if skew.Abs() > maxSkew {
		r.Log.Warn("the clock of this host is off the control plane's", "by", skew)
		r.trouble(topicSkew, fmt.Sprintf("the clock of this host is %s off the control plane's", skew))
		return
	}
	r.trouble(topicSkew, "")
	if err := r.Clock.Confirm(now, controlPlane); err != nil {
		r.Log.Error("the clock's state can't be kept", "error", err)
	}
}
