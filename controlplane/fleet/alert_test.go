package fleet_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// watcher looks at a fleet, minute by minute, and keeps what it tells.
type watcher struct {
	at    time.Time
	known []fleet.Alert
	told  []string
}

// look passes a minute, with these reasons for db1/shop.
func (w *watcher) look(reasons ...fleet.Verdict) {
	w.at = w.at.Add(time.Minute)
	j := fleet.DatabaseStatus{Facts: fleet.Facts{Instance: "db1", Database: "shop"}}
	other := fleet.DatabaseStatus{Facts: fleet.Facts{Instance: "db1", Database: "till"}}
	for _, verdict := range reasons {
		r := fleet.Reason{Verdict: verdict, Text: "why", NextStep: "do"}
		j.Reasons = append(j.Reasons, r)
		if verdict == fleet.VerdictSilent { // an agent is silent for all of its databases
			other.Reasons = append(other.Reasons, r)
		}
	}
	step := fleet.StepAlerts(w.known, []fleet.DatabaseStatus{j, other}, w.at)
	w.known = step.Keep
	for _, news := range step.News() {
		w.told = append(w.told, news.Kind+" "+string(news.Verdict)+" "+news.Instance+"/"+news.Database)
	}
}

func (w *watcher) expect(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.told); diff != "" {
		t.Error(diff)
	}
}

func TestAnAlertIsSentOnceRemindedDailyAndResolvedOnce(t *testing.T) {
	w := &watcher{at: now}
	w.look(fleet.VerdictFailed)
	w.expect(t) // it may be over by the next look
	w.look(fleet.VerdictFailed)
	w.expect(t, "firing FAILED db1/shop")
	for range 24*60 - 1 {
		w.look(fleet.VerdictFailed)
	}
	w.expect(t, "firing FAILED db1/shop")
	w.look(fleet.VerdictFailed)
	w.expect(t, "firing FAILED db1/shop", "reminder FAILED db1/shop")
	for range 30 {
		w.look()
	}
	w.expect(t, "firing FAILED db1/shop", "reminder FAILED db1/shop")
	w.look()
	w.look()
	w.expect(t, "firing FAILED db1/shop", "reminder FAILED db1/shop", "resolved FAILED db1/shop")
	if len(w.known) != 0 {
		t.Errorf("left: %+v", w.known)
	}
	w.look(fleet.VerdictFailed)
	w.look(fleet.VerdictFailed)
	if len(w.told) != 4 {
		t.Errorf("a new failure tells nobody: %v", w.told)
	}
}

func TestWhatFlapsTellsOfItselfOnce(t *testing.T) {
	w := &watcher{at: now}
	for i := range 10 * 60 {
		if i%20 < 10 {
			w.look(fleet.VerdictStale)
		} else {
			w.look()
		}
	}
	w.expect(t, "firing STALE db1/shop")
	// And what comes and goes from look to look tells nobody.
	w = &watcher{at: now}
	for range 100 {
		w.look(fleet.VerdictStale)
		w.look()
	}
	w.expect(t)
}

func TestAHostThatIsDownIsOneAlert(t *testing.T) {
	w := &watcher{at: now}
	w.look(fleet.VerdictSilent, fleet.VerdictStale)
	w.look(fleet.VerdictSilent, fleet.VerdictStale)
	w.expect(t, "firing SILENT db1/", "firing STALE db1/shop")
}

func TestASecondReasonIsAnAlertOfItsOwn(t *testing.T) {
	w := &watcher{at: now}
	w.look(fleet.VerdictStale)
	w.look(fleet.VerdictStale, fleet.VerdictFailed)
	w.look(fleet.VerdictFailed)
	w.expect(t, "firing STALE db1/shop", "firing FAILED db1/shop")
}

// An agent that has thousands of databases, or says so, reports them once.
func TestManyDatabasesOfAnInstanceAreOneAlert(t *testing.T) {
	many := func(n int) (all []fleet.DatabaseStatus) {
		for i := range n {
			j := fleet.DatabaseStatus{Facts: fleet.Facts{Instance: "db1", Database: fmt.Sprintf("shop%d", i)}}
			j.Reasons = []fleet.Reason{{Verdict: fleet.VerdictStale, Text: strings.Repeat("old ", 1000)}}
			all = append(all, j)
		}
		return all
	}
	if few := fleet.StepAlerts(nil, many(fleet.AlertsOfOne), now).Keep; len(few) != fleet.AlertsOfOne || few[0].Database != "shop0" {
		t.Errorf("of a few there are %d alerts", len(few))
	}
	all := fleet.StepAlerts(nil, many(2000), now).Keep
	if len(all) != 1 || all[0].Database != "" || !strings.HasPrefix(all[0].Text, "2000 databases") || len(all[0].Text) > 1000 ||
		all[0].NextStep != "pgharbor health --instance db1 --verdict STALE" {
		t.Errorf("of many: %.100v", all)
	}
}
