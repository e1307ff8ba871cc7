package job

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/state"
)

var today = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

// inventoryIDs are the backups that are left, oldest first.
func inventoryIDs(r *Runner) []string {
	r.Inventory.forget()
	var ids []string
	for _, b := range r.Inventory.Current().Backups {
		ids = append(ids, b.ID)
	}
	return ids
}

func withDays(r *Runner, t *testing.T, days ...int) {
	t.Helper()
	for n, age := range days {
		storeBackup(t, r, "shop", backupID(n), "run", today.AddDate(0, 0, -age))
	}
}

func TestPurgeRemovesByPolicyAndSaysWhy(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 90, 60, 40, 5, 1)
	storeBackup(t, r, "rare", "rarebackup000001", "run", today.AddDate(0, 0, -400))
	before := r.Inventory.Current().Digest
	r.purger.purge(t.Context())
	if diff := cmp.Diff([]string{"rarebackup000001", backupID(3), backupID(4)}, inventoryIDs(r)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if r.Inventory.Current().Digest == before {
		t.Error("the digest has not changed")
	}
	var removed []string
	for _, entry := range entries(t, r.State) {
		if entry.Removal == nil {
			continue // the newest backups were read again before
		}
		removed = append(removed, entry.Removal.BackupID)
		if !strings.Contains(entry.Removal.Reason, "days old") || !entry.Removal.RemovedAt.Equal(r.Clock.Now()) {
			t.Errorf("removal %+v", entry.Removal)
		}
	}
	if diff := cmp.Diff([]string{backupID(0), backupID(1), backupID(2)}, removed); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

func TestPurgeRemovesNothingWhileTheNewestIsDamaged(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 90, 60, 40, 1)
	newest := r.Inventory.Current().Backups[3]
	// The size holds, so only its hash can tell.
	if err := os.WriteFile(folderOf(r.Host).Path(newest.Location), []byte(strings.ToUpper(newest.ID)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.purger.purge(t.Context())
	if ids := inventoryIDs(r); len(ids) != 4 {
		t.Errorf("removed although the newest is damaged: %v are left", ids)
	}
	if state := r.Inventory.Current().Backups[3].State; state != backup.StateDamaged {
		t.Errorf("the newest backup is %s", state)
	}
	if blocked := r.Status.Last().RetentionBlocked; !strings.Contains(blocked, "damaged") {
		t.Errorf("retention is blocked: %q", blocked)
	}
	told := entries(t, r.State)
	if len(told) != 1 || told[0].Scrub == nil || told[0].Scrub.BackupID != newest.ID || told[0].Scrub.Damage == "" {
		t.Errorf("journal: %+v", told)
	}
}

func TestPurgeWaitsForATrustedClock(t *testing.T) {
	now := today.Add(time.Hour)
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return now } })
	withDays(r, t, 40, 2, 1)
	r.Clock.trusted()
	now = now.AddDate(10, 0, 0)
	r.purger.purge(t.Context())
	if ids := inventoryIDs(r); len(ids) != 3 {
		t.Fatalf("a clock ten years ahead removed backups: %v are left", ids)
	}
	if blocked := r.Status.Last().RetentionBlocked; !strings.Contains(blocked, "nothing is removed") {
		t.Errorf("retention is blocked: %q", blocked)
	}
	r.Clock.Hear(now.Add(time.Minute)) // the control plane says that it is right
	r.purger.purge(t.Context())
	if diff := cmp.Diff([]string{backupID(1), backupID(2)}, inventoryIDs(r)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// What begins to be read after retention has made its plan stays too.
func TestPurgeLeavesWhatIsReadSinceItsPlan(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 40, 2, 1)
	planned := r.Inventory.read().Backups[0]
	if planned.Retention.Keep {
		t.Fatalf("the plan: %+v", planned.Retention)
	}
	release := r.reads.begin(planned.ID)
	r.purger.remove(planned)
	if ids := inventoryIDs(r); len(ids) != 3 {
		t.Errorf("removed under a restore: %v are left", ids)
	}
	release()
	r.purger.remove(planned)
	if ids := inventoryIDs(r); len(ids) != 2 {
		t.Errorf("%v are left", ids)
	}
}

func TestPurgeLeavesWhatIsBeingRead(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 40, 2, 1)
	release := r.reads.begin(backupID(0))
	r.purger.purge(t.Context())
	if ids := inventoryIDs(r); len(ids) != 3 {
		t.Errorf("removed under a restore: %v are left", ids)
	}
	release()
	r.purger.purge(t.Context())
	if ids := inventoryIDs(r); len(ids) != 2 {
		t.Errorf("still there: %v", ids)
	}
}

func TestPurgeLeavesWhatIsHeld(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 50, 40, 2, 1)
	hold := HoldSpec{BackupID: backupID(0), Reason: "the audit", By: "user:ada"}
	if result := accept(t, r, Job{ID: "job1", Spec: hold}); result.State != state.StateSucceeded {
		t.Fatalf("hold: %+v", result)
	}
	if held := r.Inventory.Current().Backups[0].Hold; held == nil || held.Reason != "the audit" || held.By != "user:ada" || !held.HeldAt.Equal(r.Clock.Now()) {
		t.Errorf("held: %+v", held)
	}
	// The plan may be older than the hold: the file itself is what is asked last.
	b := r.Inventory.Current().Backups[0]
	b.Retention.Reason = "an old plan"
	r.purger.remove(b)
	r.purger.purge(t.Context())
	if diff := cmp.Diff([]string{backupID(0), backupID(2), backupID(3)}, inventoryIDs(r)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if result := accept(t, r, Job{ID: "job2", Spec: HoldSpec{BackupID: "gone"}}); result.Failure != backup.FailureNotFound {
		t.Errorf("the hold of nothing: %+v", result)
	}
	if result := accept(t, r, Job{ID: "job3", Spec: HoldSpec{BackupID: backupID(0), Release: true}}); result.State != state.StateSucceeded {
		t.Fatalf("release: %+v", result)
	}
	r.purger.purge(t.Context())
	if diff := cmp.Diff([]string{backupID(2), backupID(3)}, inventoryIDs(r)); diff != "" {
		t.Errorf("left after the release (-want +got):\n%s", diff)
	}
}

// What is read for a moment is not called held: nobody could release it.
func TestWhatIsBeingReadIsNotCalledHeld(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 40, 2, 1)
	defer r.reads.begin(backupID(1))()
	for _, b := range r.Inventory.read().Backups {
		if b.Retention.Reason == "it is held" {
			t.Errorf("%s: %+v", b.ID, b.Retention)
		}
	}
}
