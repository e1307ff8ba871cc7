package retention

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/google/renameio/v2"
)

// Bounds of the ClockGuard.
const (
	maxForward = 72 * time.Hour   // a longer gap since the last look is a jump, or a long absence, which looks the same
	maxBack    = time.Hour        // likewise
	steadyFor  = 24 * time.Hour   // how long a suspect clock must run steadily to be trusted again
	maxStep    = time.Hour        // what one look can add to that: a clock that nobody watched was not seen to be steady
	maxSkew    = 10 * time.Minute // what the control plane's time may be off for it to agree
)

// ClockGuard reports whether the clock may be trusted for removing what is old. After a jump of the
// clock it may not, until it has run steadily for a day or the control plane has agreed with it.
// Its state is a small JSON file, so that a jump while the agent was down is seen too. It is safe
// for concurrent use.
type ClockGuard struct {
	path  string
	mu    sync.Mutex
	state clockState
}

type clockState struct {
	LastSeen time.Time     `json:"last_seen"`
	Suspect  string        `json:"suspect,omitempty"` // why; empty if the clock is trusted
	Steady   time.Duration `json:"steady_ns,omitempty"`
}

// OpenClockGuard reads the state in the file at path. Without one, the clock is trusted; with one that can't be read as
// state, it is suspect. It looks at the clock only when Observe is called.
func OpenClockGuard(path string) (*ClockGuard, error) {
	g := &ClockGuard{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &g.state); err != nil {
		g.state = clockState{Suspect: "it is not known when the clock was last seen, because its file is damaged"}
	}
	return g, nil
}

// Observe tells the guard what the clock shows; every few minutes, and before Trusted is asked. An
// error means that the state could not be written; what the guard knows holds anyway.
func (g *ClockGuard) Observe(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now = now.UTC().Round(0)
	if last := g.state.LastSeen; !last.IsZero() {
		g.step(last, now)
	}
	g.state.LastSeen = now
	return g.save()
}

func (g *ClockGuard) step(last, now time.Time) {
	gap := now.Sub(last)
	switch {
	case gap > maxForward:
		g.suspect("the clock jumped ahead, or was not seen, for %s: from %s to %s", gap, last, now)
	case gap < -maxBack:
		g.suspect("the clock jumped back by %s: from %s to %s", -gap, last, now)
	case g.state.Suspect != "":
		g.state.Steady += min(max(gap, 0), maxStep)
		if g.state.Steady >= steadyFor {
			g.trust()
		}
	}
}

// Confirm compares the clock with the control plane's, and trusts it if they agree within 10 minutes.
func (g *ClockGuard) Confirm(now, controlPlane time.Time) error {
	if skew := now.Sub(controlPlane); skew > maxSkew || skew < -maxSkew {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trust()
	g.state.LastSeen = now.UTC().Round(0)
	return g.save()
}

// Trusted reports whether the clock may be trusted, and if not, why.
func (g *ClockGuard) Trusted() (ok bool, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state.Suspect == "", g.state.Suspect
}

func (g *ClockGuard) suspect(reason string, gap time.Duration, last, now time.Time) {
	g.state.Steady = 0
	g.state.Suspect = fmt.Sprintf(reason, gap.Round(time.Minute), last.Format(time.RFC3339), now.Format(time.RFC3339))
}

func (g *ClockGuard) trust() {
	g.state.Suspect, g.state.Steady = "", 0
}

func (g *ClockGuard) save() error {
	data, err := json.Marshal(g.state)
	if err != nil {
		return err
	}
	return renameio.WriteFile(g.path, append(data, '\n'), 0o600)
}
