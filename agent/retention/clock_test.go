package retention

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// guard opens a guard again for each look, as an agent that is started each time does.
type guard struct {
	t    rapid.TB
	path string
}

func (g guard) do(work func(*ClockGuard) error) (trusted bool) {
	g.t.Helper()
	clock, err := OpenClockGuard(g.path)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := work(clock); err != nil {
		g.t.Fatal(err)
	}
	trusted, reason := clock.Trusted()
	if trusted != (reason == "") {
		g.t.Fatalf("trusted %v, because %q", trusted, reason)
	}
	return trusted
}

func (g guard) see(at time.Time) (trusted bool) {
	g.t.Helper()
	return g.do(func(clock *ClockGuard) error { return clock.Observe(at) })
}

func TestClockIsSuspectAfterAJump(t *testing.T) {
	for name, test := range map[string]struct {
		jump    time.Duration
		trusted bool
	}{
		"a weekend off":   {60 * time.Hour, true},
		"72 hours":        {72 * time.Hour, true},
		"ten years ahead": {10 * 365 * day, false},
		"73 hours":        {73 * time.Hour, false},
		"a little back":   {-59 * time.Minute, true},
		"a day back":      {-day, false},
	} {
		g := guard{t, filepath.Join(t.TempDir(), "clock.json")}
		if !g.see(now) {
			t.Errorf("%s: a clock seen for the first time is suspect", name)
		}
		if g.see(now.Add(test.jump)) != test.trusted {
			t.Errorf("%s: trusted %v, want %v", name, !test.trusted, test.trusted)
		}
	}
}

func TestClockIsTrustedAgainAfterASteadyDay(t *testing.T) {
	g := guard{t, filepath.Join(t.TempDir(), "clock.json")}
	g.see(now)
	at := now.Add(10 * 365 * day)
	g.see(at)
	for minutes := 30; minutes <= 24*60; minutes += 30 {
		if trusted := g.see(at.Add(time.Duration(minutes) * time.Minute)); trusted != (minutes == 24*60) {
			t.Fatalf("%d minutes after the jump: trusted %v", minutes, trusted)
		}
	}
}

func TestClockIsNotSteadyWhileNobodyLooks(t *testing.T) {
	g := guard{t, filepath.Join(t.TempDir(), "clock.json")}
	g.see(now)
	at := now.Add(10 * 365 * day)
	g.see(at)
	if g.see(at.Add(71 * time.Hour)) {
		t.Error("trusted after one look three days later, which may be a second jump")
	}
}

func TestClockIsTrustedWhenTheControlPlaneAgrees(t *testing.T) {
	for skew, want := range map[time.Duration]bool{0: true, 9 * time.Minute: true, -9 * time.Minute: true, 11 * time.Minute: false, -11 * time.Minute: false} {
		g := guard{t, filepath.Join(t.TempDir(), "clock.json")}
		g.see(now)
		at := now.Add(10 * 365 * day)
		g.see(at)
		if got := g.do(func(clock *ClockGuard) error { return clock.Confirm(at, at.Add(skew)) }); got != want {
			t.Errorf("control plane %s off: trusted %v, want %v", skew, got, want)
		}
	}
}

func TestClockIsSuspectWhereItsFileIsDamaged(t *testing.T) {
	g := guard{t, filepath.Join(t.TempDir(), "clock.json")}
	if err := os.WriteFile(g.path, []byte(`{"last_se`), 0o600); err != nil {
		t.Fatal(err)
	}
	if g.see(now) {
		t.Error("trusted")
	}
}

// Whatever the looks, a purge follows a jump only after a day of looks that the clock went along with.
func TestClockNeverJumpsIntoTrust(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := guard{rt, filepath.Join(t.TempDir(), "clock.json")}
		at := now
		g.see(at)
		var steady time.Duration
		suspect := false
		for range rapid.IntRange(1, 30).Draw(rt, "looks") {
			step := time.Duration(rapid.IntRange(-120, 80*60).Draw(rt, "minutes")) * time.Minute
			at = at.Add(step)
			trusted := g.see(at)
			if step > maxForward || step < -maxBack {
				suspect, steady = true, 0
			} else {
				steady += min(max(step, 0), maxStep)
			}
			suspect = suspect && steady < steadyFor
			if trusted == suspect {
				rt.Fatalf("trusted %v after %s of steady time, suspect %v", trusted, steady, suspect)
			}
		}
	})
}
