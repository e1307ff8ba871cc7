package catalog_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// shared is a catalog in which each agent may hold little, with two of them.
func shared(t *testing.T, s fleet.Share) *catalog.Catalog {
	t.Helper()
	c, _ := open(t)
	if s.Bytes == 0 {
		s.Bytes = 1 << 20
	}
	c.SetShare(s)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	enrol(t, c, fleet.CallerAgent, "db2", "")
	return c
}

func runOf(instance, database string, at time.Time) fleet.Run {
	r := aRun(instance, at)
	r.Database = database
	return r
}

// An agent that invents names gets no further than its share, and no other agent
// notices.
func TestInventedNamesOfDatabasesEndWithTheShare(t *testing.T) {
	c := shared(t, fleet.Share{Databases: 10, Backups: 1000, Runs: 1000})
	refused := 0
	for n := range 100 {
		err := c.Runs.Record(t.Context(), runOf("db1", fmt.Sprintf("invented%d", n), now), nil)
		if errors.Is(err, fleet.ErrDenied) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused != 90 {
		t.Errorf("%d were refused", refused)
	}
	record(t, c, runOf("db1", "invented3", now), nil)
	record(t, c, runOf("db2", "shop", now), nil)
	facts, err := c.Facts(t.Context(), now)
	if err != nil || len(facts) != 11 {
		t.Errorf("%d databases are evaluated, %v", len(facts), err)
	}
}

func TestBackupsEndWithTheShare(t *testing.T) {
	c := shared(t, fleet.Share{Databases: 10, Backups: 300, Runs: 1000, Bytes: 1 << 20})
	var all []fleet.Backup
	for range 500 {
		all = append(all, aBackup("db1", now))
	}
	refused, err := c.Backups.TakeInventory(t.Context(), "db1", "digest", all)
	if err != nil || len(refused) != 200 {
		t.Fatalf("%d were refused, %v", len(refused), err)
	}
	// What is known is taken again, and what is gone is missing, over several pages.
	if refused, err = c.Backups.TakeInventory(t.Context(), "db1", "digest 2", all[:50]); err != nil || len(refused) != 0 {
		t.Errorf("again: %v, %v", refused, err)
	}
	listed, _, err := c.Backups.List(t.Context(), catalog.BackupQuery{Page: catalog.Page{Size: 1000}})
	if err != nil || len(listed) != 300 {
		t.Fatalf("%d are listed, %v", len(listed), err)
	}
	states := map[string]int{}
	for _, b := range listed {
		states[b.State]++
	}
	if states[fleet.BackupPresent] != 50 || states[fleet.BackupMissing] != 250 {
		t.Errorf("they are %v", states)
	}
	large := aBackup("db2", now)
	for range 5000 {
		large.Manifest.Tables = append(large.Manifest.Tables, fleet.TableRows{Schema: "public", Name: fmt.Sprintf("%0200d", 1)})
	}
	if err := c.Runs.Record(t.Context(), aRun("db2", now), &large); !errors.Is(err, fleet.ErrDenied) {
		t.Errorf("more bytes than the share: %v", err)
	}
	small := aBackup("db2", now)
	record(t, c, aRun("db2", now), &small)
}

// Runs make room for runs: the oldest go, and those by which health is evaluated stay.
func TestRunsOverTheShareAreTheNewest(t *testing.T) {
	c := shared(t, fleet.Share{Databases: 10, Backups: 10, Runs: 20})
	first := runOf("db1", "quiet", now.Add(-1000*time.Hour))
	record(t, c, first, nil)
	for n := range 200 {
		record(t, c, runOf("db1", "shop", now.Add(time.Duration(n)*time.Minute)), nil)
	}
	runs, _, err := c.Runs.List(t.Context(), catalog.RunQuery{Page: catalog.Page{Size: 1000}})
	if err != nil || len(runs) > 20 || len(runs) < 15 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	if newest, oldest := runs[0], runs[len(runs)-1]; !newest.StartedAt.Equal(now.Add(199*time.Minute)) || oldest.ID != first.ID {
		t.Errorf("from %s to %+v", newest.StartedAt, oldest)
	}
}

func TestRunsUnderWayEndWithTheShare(t *testing.T) {
	c := shared(t, fleet.DefaultShare)
	for n := range fleet.RunsUnderWay + 1 {
		r := runOf("db1", "shop", now)
		r.State, r.FinishedAt = fleet.RunRunning, time.Time{}
		if err := c.Runs.Record(t.Context(), r, nil); (n == fleet.RunsUnderWay) != errors.Is(err, fleet.ErrDenied) {
			t.Fatalf("run %d: %v", n, err)
		}
	}
}

// Sizes that a release before has taken have no sum, and break nobody's retention.
func TestSizesWithoutASumBreakNothing(t *testing.T) {
	c := shared(t, fleet.DefaultShare)
	for range 3 {
		b := aBackup("db1", now)
		b.SizeBytes, b.Manifest.PlainSizeBytes = math.MaxInt64, math.MaxInt64
		record(t, c, aRun("db1", now), &b)
	}
	kept, err := c.Backups.RetentionSummary(t.Context(), "db1")
	if err != nil || len(kept) != 1 || kept[0].SizeBytes < math.MaxInt64/2 || kept[0].Backups != 3 {
		t.Errorf("retention: %+v, %v", kept, err)
	}
	facts, err := c.Facts(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		if fleet.Evaluate(f, fleet.DefaultThresholds, now, time.Minute); f.Agent.NextRunBytes < 0 {
			t.Errorf("the next scheduled run takes %d bytes", f.Agent.NextRunBytes)
		}
	}
}

// What is refused is told of the agent itself for a day.
func TestRefusalIsTheAgentsOwn(t *testing.T) {
	c := shared(t, fleet.DefaultShare)
	for range 2 {
		if err := c.Agents.RecordRefusal(t.Context(), "db1", fleet.Refusal{Text: "why", Count: 3, At: now}); err != nil {
			t.Fatal(err)
		}
	}
	for instance, want := range map[string]int64{"db1": 6, "db2": 0} {
		agent, err := c.Agents.Get(t.Context(), instance)
		if err != nil || agent.Refused.Count != want {
			t.Errorf("%s: %+v, %v", instance, agent.Refused, err)
		}
		agent.LastSeenAt = now
		for _, after := range []time.Duration{time.Hour, 25 * time.Hour} {
			f := fleet.Facts{Instance: instance, Agent: fleet.AgentFacts{LastSeenAt: now.Add(after), Refused: agent.Refused}}
			told := false
			for _, r := range fleet.Evaluate(f, fleet.DefaultThresholds, now.Add(after), time.Minute).Reasons {
				told = told || r.Verdict == fleet.VerdictRefused
			}
			if told != (want > 0 && after == time.Hour) {
				t.Errorf("%s after %s: told %t", instance, after, told)
			}
		}
	}
}
