package job

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/pgharbor/pgharbor/agent/retention"
)

// maxSkew is how far the clock may be off the control plane's without a word.
const maxSkew = 10 * time.Minute

// Clock is the host's, which may be wrong.
type Clock struct {
	now      func() time.Time
	guard    *retention.ClockGuard
	log      *slog.Logger
	warnings *warnings
}

// Now is what the clock shows.
func (c *Clock) Now() time.Time { return c.now() }

// trusted looks at the clock and reports whether it may be gone by in removing
// what is old.
func (c *Clock) trusted() bool {
	if err := c.guard.Observe(c.Now()); err != nil {
		c.log.Error("the clock's state can't be kept", "error", err)
	}
	trusted, reason := c.guard.Trusted()
	if trusted {
		c.warnings.set(warnClock, "")
		return true
	}
	c.warnings.set(warnClock, "nothing is removed for now: "+reason)
	return false
}

// Hear takes the control plane's word for what time it is: a clock that was suspect is trusted
// again if the two agree.
func (c *Clock) Hear(controlPlane time.Time) {
	now := c.Now()
	skew := now.Sub(controlPlane).Round(time.Second)
	if skew.Abs() > maxSkew {
		c.log.Warn("the clock of this host is off the control plane's", "by", skew)
		c.warnings.set(warnSkew, fmt.Sprintf("the clock of this host is %s off the control plane's", skew))
		return
	}
	c.warnings.set(warnSkew, "")
	if err := c.guard.Confirm(now, controlPlane); err != nil {
		c.log.Error("the clock's state can't be kept", "error", err)
	}
}
