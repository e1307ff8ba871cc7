package fleet_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// loud is what an agent can have said of its instance: as many alerts as one may have,
// each at the bounds of its texts.
func loud(instance string) (all []fleet.DatabaseStatus) {
	for n := range fleet.AlertsOfOne {
		j := fleet.DatabaseStatus{Facts: fleet.Facts{Instance: instance, Database: fmt.Sprintf("%s%d", strings.Repeat("$", 250), n)}}
		for _, v := range []fleet.Verdict{fleet.VerdictFailed, fleet.VerdictStale, fleet.VerdictUnprotected, fleet.VerdictUnproven} {
			j.Reasons = append(j.Reasons, fleet.Reason{Verdict: v, Text: strings.Repeat("x", 1000), NextStep: strings.Repeat("\x01", 1000)})
		}
		all = append(all, j)
	}
	return all
}

func quiet(instance string) fleet.DatabaseStatus {
	return fleet.DatabaseStatus{
		Facts:   fleet.Facts{Instance: instance, Database: "shop"},
		Reasons: []fleet.Reason{{Verdict: fleet.VerdictDamaged, Text: "the honest one", NextStep: "look"}},
	}
}

// All news of a look were one message: what one agent had said made it too large to be
// taken, and what others had to say was lost with it.
func TestNewsOfOneInstanceLeaveRoomForOthers(t *testing.T) {
	all := loud("mallory")
	for n := range 5 {
		all = append(all, quiet(fmt.Sprintf("shop-%d", n)))
	}
	const alerts = 4*fleet.AlertsOfOne + 5
	var known []fleet.Alert
	told := map[string]int{}
	at, messages := now, 0
	look := func(statuses []fleet.DatabaseStatus) fleet.AlertStep {
		at = at.Add(time.Minute)
		step := fleet.StepAlerts(known, statuses, at)
		known = step.Keep
		for _, n := range step.News() {
			told[n.Kind+" "+n.Instance+"/"+n.Database+" "+string(n.Verdict)]++
		}
		if body, err := json.Marshal(step.News()); err != nil || len(body) > 80<<10 {
			t.Errorf("%d bytes of news at once, %v", len(body), err)
		}
		if len(step.News()) > 0 {
			messages++
		}
		return step
	}
	look(all)
	if first := look(all); len(first.News())+first.More != alerts || first.More == 0 {
		t.Errorf("of %d alerts %d are told and %d to follow", alerts, len(first.News()), first.More)
	}
	for n := range 5 {
		if told[fmt.Sprintf("firing shop-%d/shop DAMAGED", n)] != 1 {
			t.Errorf("shop-%d is not in the first message: %v", n, told)
		}
	}
	for range 60 {
		look(all)
	}
	if fired := messages; len(told) != alerts || fired > 20 {
		t.Errorf("%d of %d alerts are told by %d messages", len(told), alerts, fired)
	}
	for range 120 {
		look(nil)
	}
	for what, times := range told {
		if times != 1 {
			t.Errorf("%d times: %s", times, what)
		}
	}
	if len(told) != 2*alerts || len(known) != 0 {
		t.Errorf("%d alerts and ends of alerts are told, and %d are left", len(told), len(known))
	}
}

// Anyone who always has something new does not keep waiting what is older.
func TestWhatWaitsLongerIsToldFirst(t *testing.T) {
	var known []fleet.Alert
	for n := range 100 {
		known = append(known, fleet.Alert{AlertKey: fleet.AlertKey{Instance: fmt.Sprintf("a-%d", n), Verdict: fleet.VerdictSilent}, Since: now})
	}
	known = append(known, fleet.Alert{AlertKey: fleet.AlertKey{Instance: "z-old", Verdict: fleet.VerdictSilent}, Since: now.Add(-time.Minute)})
	var all []fleet.DatabaseStatus
	for _, a := range known {
		all = append(all, fleet.DatabaseStatus{
			Facts:   fleet.Facts{Instance: a.Instance},
			Reasons: []fleet.Reason{{Verdict: a.Verdict, Text: strings.Repeat("x", 1000), NextStep: strings.Repeat("y", 1000)}},
		})
	}
	step := fleet.StepAlerts(known, all, now.Add(time.Minute))
	if step.More == 0 || step.Firing[0].Instance != "z-old" {
		t.Errorf("the first of %d is of %s, and %d are to follow", len(step.Firing), step.Firing[0].Instance, step.More)
	}
}
