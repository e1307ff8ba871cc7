package session_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// The clock of the agent's host is moved, back and ahead, and set right again.
func TestAClockThatMovesIsAlarmed(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	for moved, want := range map[time.Duration]bool{0: false, 20 * time.Minute: true, -24 * time.Hour: true, 10 * 365 * 24 * time.Hour: true, time.Second: false} {
		a.send(t, heartbeat(&pgharborv1.Heartbeat{SentAt: timestamppb.New(time.Now().Add(moved))}))
		a.settle(t)
		facts, err := cp.Catalog.Facts(t.Context(), "db1", nil, time.Now())
		if err != nil || len(facts) != 1 {
			t.Fatalf("%+v, %v", facts, err)
		}
		reasons := fleet.Judge(facts[0], fleet.DefaultThresholds, time.Now(), time.Minute).Reasons
		if got := slices.ContainsFunc(reasons, func(r fleet.Reason) bool { return r.Verdict == fleet.VerdictClock }); got != want {
			t.Errorf("moved by %s: %+v", moved, reasons)
		}
	}
}
