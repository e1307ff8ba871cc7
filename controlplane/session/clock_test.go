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
		a.allTaken(t)
		facts, err := cp.Catalog.Facts(t.Context(), time.Now())
		if err != nil || len(facts) != 1 {
			t.Fatalf("%+v, %v", facts, err)
		}
		reasons := fleet.Evaluate(facts[0], fleet.DefaultThresholds, time.Now(), time.Minute).Reasons
		if got := slices.ContainsFunc(reasons, func(r fleet.Reason) bool { return r.Verdict == fleet.VerdictClock }); got != want {
			t.Errorf("moved by %s: %+v", moved, reasons)
		}
	}
}

// What was found while the clock was ahead does not hide what is found since.
func TestFindingsFromAClockThatWasAheadGiveWay(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	ahead, now := timestamppb.New(time.Now().AddDate(10, 0, 0)), timestamppb.Now()
	tested, newer := aBackup(), aBackup()
	tested.ScrubbedAt, tested.Proof = ahead, &pgharborv1.Proof{State: fleet.TestRestoreSucceeded, FinishedAt: ahead}
	a.report(t, runFinished(aRun(), tested))
	a.report(t, runFinished(aRun(), newer))
	a.send(t, inventory("1", tested, newer))
	a.report(t, &pgharborv1.Report{Event: &pgharborv1.Report_BackupProved{BackupProved: &pgharborv1.BackupProved{
		BackupId: newer.GetId(), Proof: &pgharborv1.Proof{State: fleet.TestRestoreFailed, FinishedAt: now},
	}}})
	a.report(t, &pgharborv1.Report{Event: &pgharborv1.Report_BackupScrubbed{BackupScrubbed: &pgharborv1.BackupScrubbed{
		BackupId: tested.GetId(), ScrubbedAt: now, Damage: "its hash",
	}}})
	facts, err := cp.Catalog.Facts(t.Context(), time.Now())
	if err != nil || len(facts) != 1 {
		t.Fatalf("%+v, %v", facts, err)
	}
	if p := facts[0].TestRestored; p == nil || p.ID != newer.GetId() {
		t.Errorf("the newest test restore is %+v", p)
	}
	if b, err := cp.Catalog.Backups.Get(t.Context(), tested.GetId()); err != nil || b.Damage != "its hash" {
		t.Errorf("what was found of the other: %q, %v", b.Damage, err)
	}
}
