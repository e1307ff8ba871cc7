package catalog_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func backupOf(t *testing.T, c *catalog.Catalog, id string) fleet.Backup {
	t.Helper()
	b, err := c.Backups.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func inventory(t *testing.T, c *catalog.Catalog, backups ...fleet.Backup) {
	t.Helper()
	if _, err := c.Backups.TakeInventory(t.Context(), "db1", fleet.NewID(), backups); err != nil {
		t.Fatal(err)
	}
}

func TestInventoryTellsWhatIsKnownBesideTheManifest(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	b := aBackup("db1", now)
	record(t, c, aRun("db1", now), &b)
	b.State = fleet.BackupDamaged
	b.Findings = fleet.Findings{
		Held: true, HoldReason: "audit", HeldBy: "user:ada", ScrubbedAt: now, Damage: "its hash",
		TestRestore: fleet.TestRestore{State: fleet.TestRestoreSucceeded, FinishedAt: now, ServerVersion: "15.18", Method: "throwaway",
			RestoreTook: time.Minute, Took: 2 * time.Minute, Tables: 3, Rows: 1 << 40},
	}
	inventory(t, c, b)
	if diff := cmp.Diff(b, backupOf(t, c, b.ID)); diff != "" {
		t.Error(diff)
	}
	// The report of its run, again, knows nothing of that.
	late := b
	late.State, late.Findings = fleet.BackupPresent, fleet.Findings{}
	record(t, c, aRun("db1", now), &late)
	if diff := cmp.Diff(b, backupOf(t, c, b.ID)); diff != "" {
		t.Errorf("after a late report: %s", diff)
	}
	// An agent with a new state folder has forgotten what it did, but not what it sees.
	inventory(t, c, late)
	want := late
	want.ScrubbedAt, want.TestRestore = b.ScrubbedAt, b.TestRestore
	if diff := cmp.Diff(want, backupOf(t, c, b.ID)); diff != "" {
		t.Errorf("after a forgetful inventory: %s", diff)
	}
	// What is gone is missing, damaged or not.
	inventory(t, c, b)
	inventory(t, c)
	if got := backupOf(t, c, b.ID).State; got != fleet.BackupMissing {
		t.Errorf("a damaged file that is gone is %s", got)
	}
}

func TestScrubsChangeTheVerdict(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	older, newest := aBackup("db1", now.Add(-2*time.Hour)), aBackup("db1", now.Add(-time.Hour))
	for _, b := range []*fleet.Backup{&older, &newest} {
		b.Retention.ExpiresAt = now.Add(time.Hour)
		record(t, c, aRun("db1", now), b)
	}
	scrubbed := func(instance string, at time.Time, damage string) {
		t.Helper()
		if err := c.Backups.RecordScrub(t.Context(), instance, newest.ID, at, damage); err != nil {
			t.Fatal(err)
		}
	}
	scrubbed("db1", now, "its hash")
	scrubbed("db1", now, "its hash")               // the acknowledgement was lost
	scrubbed("db1", now.Add(-time.Hour), "")       // out of order
	scrubbed("db2", now.Add(time.Hour), "forgery") // not its own
	facts := factsOf(t, c)["db1/shop"]
	if facts.Damaged != 1 || facts.Damage != "its hash" || facts.NewestBackup == nil || facts.NewestBackup.ID != older.ID {
		t.Errorf("facts: %+v", facts)
	}
	if j := fleet.Evaluate(withAgent(facts), fleet.DefaultThresholds, now, time.Minute); j.Verdict != fleet.VerdictDamaged {
		t.Errorf("the verdict is %s: %+v", j.Verdict, j.Reasons)
	}
	scrubbed("db1", now.Add(time.Minute), "") // somebody brought the file back
	if facts := factsOf(t, c)["db1/shop"]; facts.Damaged != 0 || facts.NewestBackup.ID != newest.ID {
		t.Errorf("facts: %+v", facts)
	}
	if err := c.Backups.RecordRemoved(t.Context(), "db1", newest.ID, "old", now, now); err != nil {
		t.Fatal(err)
	}
	scrubbed("db1", now.Add(time.Hour), "its hash") // of what was removed meanwhile
	if got := backupOf(t, c, newest.ID).State; got != fleet.BackupRemoved {
		t.Errorf("what was removed is %s", got)
	}
}

// withAgent is facts of an agent that was just heard from.
func withAgent(f fleet.Facts) fleet.Facts {
	f.Agent.LastSeenAt = now
	return f
}

func TestBackupThatFailedItsTestRestoreCountsForNothing(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	older, newest := aBackup("db1", now.Add(-30*time.Hour)), aBackup("db1", now.Add(-time.Hour))
	for _, b := range []fleet.Backup{older, newest} {
		record(t, c, aRun("db1", now), &b)
	}
	tested := func(id, state string, at time.Time, took time.Duration) fleet.DatabaseStatus {
		t.Helper()
		testRestore := fleet.TestRestore{State: state, FinishedAt: at, RestoreTook: took, Differences: []string{"goods has 9 rows"}}
		if err := c.Backups.RecordTestRestore(t.Context(), "db1", id, testRestore); err != nil {
			t.Fatal(err)
		}
		return fleet.Evaluate(withAgent(factsOf(t, c)["db1/shop"]), fleet.DefaultThresholds, now, time.Minute)
	}
	if j := tested(newest.ID, fleet.TestRestoreSucceeded, now.Add(-30*time.Minute), time.Minute); j.Verdict != fleet.VerdictOK || j.RestoreTakes != time.Minute {
		t.Errorf("after a test restore: %s, a restore takes %s, %+v", j.Verdict, j.RestoreTakes, j.Reasons)
	}
	j := tested(newest.ID, fleet.TestRestoreFailed, now.Add(-20*time.Minute), time.Hour)
	if j.Verdict != fleet.VerdictDamaged || j.NewestBackup == nil || j.NewestBackup.ID != older.ID || j.TestRestored.TestRestore.Differences[0] != "goods has 9 rows" {
		t.Errorf("after a failed one: %s, the newest is %+v", j.Verdict, j.NewestBackup)
	}
	// The one before it is 30 h old, which the verdict also says.
	if len(j.Reasons) != 2 || j.Reasons[1].Verdict != fleet.VerdictStale {
		t.Errorf("reasons: %+v", j.Reasons)
	}
	if j := tested(newest.ID, fleet.TestRestoreSucceeded, now.Add(-25*time.Minute), time.Hour); j.Verdict != fleet.VerdictDamaged {
		t.Errorf("after a late report of an earlier one: %s", j.Verdict)
	}
	if j := tested(newest.ID, fleet.TestRestoreSucceeded, now, 2*time.Minute); j.Verdict != fleet.VerdictOK || j.RestoreTakes != 2*time.Minute {
		t.Errorf("after another: %s, %+v", j.Verdict, j.Reasons)
	}
}

func TestHoldIsInTheCatalogWithTheEndOfItsJob(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	b := aBackup("db1", now)
	record(t, c, aRun("db1", now), &b)
	finish := func(kind fleet.JobKind, state fleet.JobState) fleet.Findings {
		t.Helper()
		j, err := c.Jobs.Create(t.Context(), fleet.Job{
			ID: fleet.NewID(), Kind: kind, Instance: "db1", RequestedBy: "user:ada", CreatedAt: now, Deadline: now,
			Spec: fleet.JobSpec{BackupID: b.ID, Reason: "audit"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Jobs.Finish(t.Context(), "db1", j.ID, fleet.JobResult{State: state, FinishedAt: now}, now); err != nil {
			t.Fatal(err)
		}
		return backupOf(t, c, b.ID).Findings
	}
	for _, step := range []struct {
		kind  fleet.JobKind
		state fleet.JobState
		want  fleet.Findings
	}{
		{fleet.JobHold, fleet.JobFailed, fleet.Findings{}},
		{fleet.JobVerify, fleet.JobSucceeded, fleet.Findings{}},
		{fleet.JobHold, fleet.JobSucceeded, fleet.Findings{Held: true, HoldReason: "audit", HeldBy: "user:ada"}},
		{fleet.JobRelease, fleet.JobLost, fleet.Findings{Held: true, HoldReason: "audit", HeldBy: "user:ada"}},
		{fleet.JobRelease, fleet.JobSucceeded, fleet.Findings{}},
	} {
		if diff := cmp.Diff(step.want, finish(step.kind, step.state)); diff != "" {
			t.Errorf("after a %s that %s: %s", step.kind, step.state, diff)
		}
	}
}

// Retention goes on while test restores count for longer.
func TestATestRestoreOutlivesItsBackup(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	tested, failed, newest := aBackup("db1", now.Add(-3*time.Hour)), aBackup("db1", now.Add(-2*time.Hour)), aBackup("db1", now.Add(-time.Hour))
	for _, b := range []fleet.Backup{tested, failed, newest} {
		record(t, c, aRun("db1", b.CreatedAt), &b)
	}
	for id, testRestore := range map[string]fleet.TestRestore{
		tested.ID: {State: fleet.TestRestoreSucceeded, FinishedAt: now.Add(-2 * time.Hour), RestoreTook: time.Minute},
		failed.ID: {State: fleet.TestRestoreFailed, FinishedAt: now.Add(-time.Hour), RestoreTook: time.Second},
	} {
		if err := c.Backups.RecordTestRestore(t.Context(), "db1", id, testRestore); err != nil {
			t.Fatal(err)
		}
	}
	if got := factsOf(t, c)["db1/shop"]; got.TestRestored == nil || got.TestRestored.ID != failed.ID || got.RestoreTakes != time.Minute {
		t.Errorf("while all are there: %+v, a restore takes %s", got.TestRestored, got.RestoreTakes)
	}
	for _, id := range []string{tested.ID, failed.ID} {
		if err := c.Backups.RecordRemoved(t.Context(), "db1", id, "past its days", now, now); err != nil {
			t.Fatal(err)
		}
	}
	got := factsOf(t, c)["db1/shop"]
	if got.TestRestored == nil || got.TestRestored.ID != tested.ID || got.RestoreTakes != time.Minute {
		t.Fatalf("once they are removed: %+v, a restore takes %s", got.TestRestored, got.RestoreTakes)
	}
	wanted := fleet.DefaultThresholds
	wanted.TestRestoreWithin = 24 * time.Hour
	for _, r := range fleet.Evaluate(withAgent(got), wanted, now, time.Minute).Reasons {
		if r.Verdict == fleet.VerdictUnproven || r.Verdict == fleet.VerdictDamaged {
			t.Errorf("%+v", r)
		}
	}
}
