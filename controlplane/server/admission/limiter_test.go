package admission

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

func TestALimiterHasRoomForOthers(t *testing.T) {
	c := &limiter{most: 5, mostOfOne: 3}
	var release []func()
	for range 3 {
		l, err := c.acquire("a")
		if err != nil {
			t.Fatal(err)
		}
		release = append(release, l)
	}
	if _, err := c.acquire("a"); !errors.Is(err, errTooMany) {
		t.Errorf("a fourth of one peer: %v", err)
	}
	for range 2 {
		if _, err := c.acquire("b"); err != nil {
			t.Errorf("another peer: %v", err)
		}
	}
	if _, err := c.acquire("c"); !errors.Is(err, errTooMany) {
		t.Errorf("a sixth in all: %v", err)
	}
	release[0]()
	if _, err := c.acquire("c"); err != nil {
		t.Errorf("once one has left: %v", err)
	}
	for _, l := range release[1:] {
		l()
	}
	if c.of["a"] != 0 || len(c.of) != 2 {
		t.Errorf("those who left are still known: %v", c.of)
	}
}

func TestRateOfOnePeerIsNotThatOfOthers(t *testing.T) {
	now := time.Unix(1000, 0)
	r := &rates{limits: Default, now: func() time.Time { return now }}
	allowed := func(who string, kind pki.Kind, tries int) (n int) {
		for range tries {
			if r.allow(who, kind) {
				n++
			}
		}
		return n
	}
	if n := allowed("agent:db1", pki.KindAgent, 3000); n != Default.Burst {
		t.Errorf("at once one agent may call %d times", n)
	}
	if n := allowed("agent:db2", pki.KindAgent, 100); n != 100 {
		t.Errorf("another one %d times of 100", n)
	}
	now = now.Add(time.Second)
	if n := allowed("agent:db1", pki.KindAgent, 3000); n != Default.Calls {
		t.Errorf("a second later %d times", n)
	}
	if n := allowed("192.0.2.1", "", 3000); n != Default.AnonymousBurst {
		t.Errorf("anonymous peers of one address %d times", n)
	}
}

// Somebody with very many addresses takes no more memory than that, and no agent's
// place.
func TestRememberedPeersAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	r := &rates{limits: Default, now: func() time.Time { return now }}
	for n := range 3 * mostRated {
		r.allow(fmt.Sprintf("2001:db8::%x", n), "")
	}
	if len(r.of) > mostRated {
		t.Errorf("%d peers are remembered", len(r.of))
	}
	if !r.allow("agent:db1", pki.KindAgent) {
		t.Error("an agent is refused for it")
	}
	now = now.Add(time.Hour)
	r.allow("192.0.2.1", "")
	if len(r.of) > 2 {
		t.Errorf("an hour later %d peers are remembered", len(r.of))
	}
}

func TestMeteredConnEndsWithTooMuch(t *testing.T) {
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	tooMuch, registry := prometheus.NewCounter(prometheus.CounterOpts{Name: "x"}), prometheus.NewRegistry()
	registry.MustRegister(tooMuch)
	left := 0
	c := &meteredConn{Conn: here, most: 100, tooMuch: tooMuch, release: func() { left++ }}
	go func() {
		for {
			if _, err := there.Write(make([]byte, 50)); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 50)
	for n := range 2 {
		if _, err := c.Read(buffer); err != nil {
			t.Fatalf("read %d: %v", n, err)
		}
	}
	if _, err := c.Read(buffer); !errors.Is(err, errTooMuch) {
		t.Errorf("the 150th byte: %v", err)
	}
	if counted, err := registry.Gather(); err != nil || counted[0].GetMetric()[0].GetCounter().GetValue() != 1 {
		t.Errorf("counted: %v, %v", counted, err)
	}
	// Anyone who is sent much may answer more.
	c.sent.Store(100 * shareOfSent)
	if _, err := c.Read(buffer); err != nil {
		t.Errorf("after a long download: %v", err)
	}
	if err := c.Close(); err != nil || left != 1 {
		t.Errorf("closed: %v, left %d times", err, left)
	}
}
