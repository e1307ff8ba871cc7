package catalog_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func factsOf(t *testing.T, c *catalog.Catalog) map[string]fleet.Facts {
	t.Helper()
	all, err := c.Facts(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]fleet.Facts{}
	for _, f := range all {
		byName[f.Instance+"/"+f.Database] = f
	}
	return byName
}

func TestFactsNameTheDatabasesThatCount(t *testing.T) {
	c, _ := open(t)
	for _, name := range []string{"db1", "db2", "db3", "gone"} {
		enrol(t, c, fleet.CallerAgent, name, "")
	}
	if err := c.Agents.Revoke(t.Context(), "gone", now); err != nil {
		t.Fatal(err)
	}
	status := fleet.AgentStatus{Databases: []fleet.InstanceDatabase{{Name: "covered", Covered: true}, {Name: "uncovered"}, {Name: "by hand"}, {Name: "postgres"}}}
	if err := c.Agents.RecordStatus(t.Context(), "db1", "1", status, now); err != nil {
		t.Fatal(err)
	}
	backup := aBackup("db1", now)
	backup.Database = "vanished, with a backup"
	record(t, c, aRun("db1", now), &backup) // whose run is of the database shop
	for database, change := range map[string]func(*fleet.Run){
		"vanished, scheduled":     func(*fleet.Run) {},
		"vanished, long ago":      func(r *fleet.Run) { r.StartedAt = now.Add(-7 * 24 * time.Hour) },
		"by hand":                 func(r *fleet.Run) { r.Trigger = "manual" },
		"mistyped":                func(r *fleet.Run) { r.Trigger = "manual" },
		"vanished, with a backup": func(r *fleet.Run) { r.Trigger = "manual" },
	} {
		r := aRun("db1", now)
		r.Database, r.State = database, fleet.RunFailed
		change(&r)
		record(t, c, r, nil)
	}
	var got []string
	all, err := c.Facts(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		got = append(got, f.Instance+"/"+f.Database)
	}
	want := []string{"db1/by hand", "db1/covered", "db1/shop", "db1/uncovered", "db1/vanished, scheduled", "db1/vanished, with a backup", "db2/", "db3/"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFactsAreOfTheNewestThatCounts(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	good, incomplete := aBackup("db1", now.Add(-2*time.Hour)), aBackup("db1", now.Add(-time.Hour))
	incomplete.Complete = false
	older := aBackup("db1", now.Add(-3*time.Hour))
	for _, b := range []fleet.Backup{good, incomplete, older} {
		record(t, c, aRun("db1", b.CreatedAt), &b)
	}
	ended, running := aRun("db1", now.Add(-10*time.Minute)), aRun("db1", now)
	ended.State, ended.Error = fleet.RunFailed, "why"
	running.State, running.FinishedAt = fleet.RunRunning, time.Time{}
	record(t, c, ended, nil)
	record(t, c, running, nil)

	facts := factsOf(t, c)["db1/shop"]
	if facts.NewestBackup == nil || facts.NewestBackup.ID != good.ID {
		t.Errorf("the newest backup is %+v", facts.NewestBackup)
	}
	if facts.NewestRun == nil || facts.NewestRun.ID != ended.ID {
		t.Errorf("the newest run is %+v", facts.NewestRun)
	}
}

// The clock of the agent's host was ten years ahead for a while.
func TestFactsOutliveAClockThatWasAhead(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	ahead := aBackup("db1", now.AddDate(10, 0, 0))
	ahead.Retention.ExpiresAt = now.AddDate(11, 0, 0)
	record(t, c, aRun("db1", now), &ahead)
	if got := factsOf(t, c)["db1/shop"].NewestBackup; got == nil || got.ID != ahead.ID {
		t.Errorf("while there is no other, the newest backup is %+v", got)
	}
	since := aBackup("db1", now.Add(-time.Hour))
	record(t, c, aRun("db1", now), &since)
	if got := factsOf(t, c)["db1/shop"].NewestBackup; got == nil || got.ID != since.ID {
		t.Errorf("the newest backup is %+v", got)
	}
	if _, err := c.Backups.TakeInventory(t.Context(), "db1", "deleted by hand", []fleet.Backup{since}); err != nil {
		t.Fatal(err)
	}
	if got := factsOf(t, c)["db1/shop"]; got.Missing != 0 {
		t.Errorf("%d are missing for ten years", got.Missing)
	}
}

// A file that somebody deleted is missing; one that would be gone by now, or
// that retention removed, is not.
func TestFactsCountWhatIsMissing(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	expires := map[string]time.Time{"deleted": now.Add(time.Hour), "past its days": now.Add(-time.Hour), "removed": now.Add(time.Hour), "kept": now.Add(time.Hour)}
	ids := map[string]string{}
	var kept fleet.Backup
	for name, at := range expires {
		b := aBackup("db1", now)
		b.Retention = fleet.Retention{Status: "kept", ExpiresAt: at}
		record(t, c, aRun("db1", now), &b)
		ids[name] = b.ID
		if name == "kept" {
			kept = b
		}
	}
	if err := c.Backups.RecordRemoved(t.Context(), "db1", ids["removed"], "why", now, now); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Backups.TakeInventory(t.Context(), "db1", "digest", []fleet.Backup{kept}); err != nil {
		t.Fatal(err)
	}
	if got := factsOf(t, c)["db1/shop"]; got.Missing != 1 || got.NewestBackup.ID != kept.ID {
		t.Errorf("%d are missing, the newest is %+v", got.Missing, got.NewestBackup)
	}
	if _, err := c.Backups.TakeInventory(t.Context(), "db1", "other", nil); err != nil {
		t.Fatal(err)
	}
	if got := factsOf(t, c)["db1/shop"]; got.Missing != 2 || got.NewestBackup != nil {
		t.Errorf("%d are missing, the newest is %+v", got.Missing, got.NewestBackup)
	}
}

// What is held, and what is kept without an end, is missed whenever it is gone or
// spoiled.
func TestFactsCountWhatWasToStayForEver(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	held, endless := aBackup("db1", now.AddDate(0, -2, 0)), aBackup("db1", now.AddDate(0, -2, 0))
	held.Held, held.HoldReason, held.Retention = true, "a lawsuit", fleet.Retention{Status: "kept", ExpiresAt: now.AddDate(0, -1, 0)}
	endless.Retention = fleet.Retention{Status: "kept"}
	inventory(t, c, held, endless)
	if got := factsOf(t, c)["db1/shop"]; got.Missing != 0 || got.Damaged != 0 {
		t.Fatalf("while they are there: %+v", got)
	}
	inventory(t, c, held)
	if got := factsOf(t, c)["db1/shop"]; got.Missing != 1 {
		t.Errorf("%d are missing of one that was kept without an end", got.Missing)
	}
	if err := c.Backups.RecordScrub(t.Context(), "db1", held.ID, now, "its hash"); err != nil {
		t.Fatal(err)
	}
	if got := factsOf(t, c)["db1/shop"]; got.Damaged != 1 || got.Damage != "its hash" {
		t.Errorf("%d are damaged of one that is held: %q", got.Damaged, got.Damage)
	}
}

// What the rules of sizes, hung runs and guests look at.
func TestFactsOfTheDaysBefore(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	status := fleet.AgentStatus{Databases: []fleet.InstanceDatabase{{Name: "shop", Covered: true}, {Name: "copy"}}}
	if err := c.Agents.RecordStatus(t.Context(), "db1", "1", status, now); err != nil {
		t.Fatal(err)
	}
	if err := c.Agents.RecordClock(t.Context(), "db1", -3*time.Second); err != nil {
		t.Fatal(err)
	}
	for day, size := range []int64{0: 5, 1: 11, 2: 12, 7: 17, 8: 18} {
		if size == 0 {
			continue
		}
		b, run := aBackup("db1", now.AddDate(0, 0, -day)), aRun("db1", now.AddDate(0, 0, -day))
		b.SizeBytes, b.Manifest.PlainSizeBytes = size, 10*size
		run.FinishedAt = run.StartedAt.Add(time.Duration(size) * time.Minute)
		record(t, c, run, &b)
		if day == 2 { // retention's doing changes nothing in how large it was
			if err := c.Backups.RecordRemoved(t.Context(), "db1", b.ID, "why", now, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	running := aRun("db1", now.Add(-time.Minute))
	running.State, running.FinishedAt = fleet.RunRunning, time.Time{}
	record(t, c, running, nil)
	finishRestore(t, c, "db1", "copy", now.Add(-time.Hour))

	facts := factsOf(t, c)
	shop, guest := facts["db1/shop"], facts["db1/copy"]
	want := []fleet.Size{
		{At: now.AddDate(0, 0, -7), Stored: 17, Plain: 170}, {At: now.AddDate(0, 0, -2), Stored: 12, Plain: 120}, {At: now.AddDate(0, 0, -1), Stored: 11, Plain: 110},
	}
	if diff := cmp.Diff(want, shop.Sizes); diff != "" {
		t.Error(diff)
	}
	if shop.Running == nil || shop.Running.ID != running.ID || shop.LongestRun != 18*time.Minute || !shop.Agent.Busy {
		t.Errorf("runs: %+v, the longest took %s, busy %t", shop.Running, shop.LongestRun, shop.Agent.Busy)
	}
	if !shop.Exists || !shop.Covered || shop.Agent.NextRunBytes != 5 || shop.Agent.ClockOffset != -3*time.Second {
		t.Errorf("%+v", shop)
	}
	if !guest.Exists || guest.Covered || !guest.RestoredAt.Equal(now.Add(-time.Hour)) {
		t.Errorf("%+v", guest)
	}
}

// finishRestore leaves a restore that has succeeded.
func finishRestore(t *testing.T, c *catalog.Catalog, instance, target string, at time.Time) {
	t.Helper()
	job := fleet.Job{ID: fleet.NewID(), Kind: fleet.JobRestore, Instance: instance, RequestedBy: "user:ada", CreatedAt: at, Deadline: at.Add(time.Minute),
		Spec: fleet.JobSpec{BackupID: fleet.NewID(), TargetDatabase: target}}
	if _, err := c.Jobs.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Jobs.Finish(t.Context(), instance, job.ID, fleet.JobResult{State: fleet.JobSucceeded, FinishedAt: at}, at); err != nil {
		t.Fatal(err)
	}
}

func TestThresholdsAreKeptByPattern(t *testing.T) {
	c, _ := open(t)
	for _, rule := range []fleet.ThresholdRule{
		{Pattern: "db1/shop", Thresholds: fleet.Thresholds{StaleAfter: time.Hour, Ignore: true}, SetBy: "user:ada", SetAt: now},
		{Pattern: "*", Thresholds: fleet.Thresholds{SizePercent: 40}, SetBy: "user:ada", SetAt: now},
		{Pattern: "*", Thresholds: fleet.Thresholds{SizePercent: 50}, SetBy: "user:bob", SetAt: now},
	} {
		if err := c.Thresholds.Set(t.Context(), rule); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Thresholds.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []fleet.ThresholdRule{
		{Pattern: "*", Thresholds: fleet.Thresholds{SizePercent: 50}, SetBy: "user:bob", SetAt: now},
		{Pattern: "db1/shop", Thresholds: fleet.Thresholds{StaleAfter: time.Hour, Ignore: true}, SetBy: "user:ada", SetAt: now},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := c.Thresholds.Remove(t.Context(), "*"); err != nil {
		t.Fatal(err)
	}
	if err := c.Thresholds.Remove(t.Context(), "*"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

// A database is new from the status on that names it first, and a status that comes again makes none new.
func TestADatabaseIsNewOnce(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	tell := func(at time.Time, names ...string) map[string]time.Time {
		status := fleet.AgentStatus{}
		for _, name := range names {
			status.Databases = append(status.Databases, fleet.InstanceDatabase{Name: name, Covered: true})
		}
		if err := c.Agents.RecordStatus(t.Context(), "db1", "1", status, at); err != nil {
			t.Fatal(err)
		}
		facts, err := c.Facts(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		since := map[string]time.Time{}
		for _, f := range facts {
			since[f.Database] = f.SeenSince
		}
		return since
	}
	later := now.Add(time.Hour)
	tell(now, "shop")
	since := tell(later, "shop", "crm")
	if !since["shop"].Equal(now) || !since["crm"].Equal(later) {
		t.Errorf("known since %v", since)
	}
	if since := tell(later.Add(time.Hour), "crm", "shop"); !since["shop"].Equal(now) || !since["crm"].Equal(later) {
		t.Errorf("known since %v", since)
	}
}
