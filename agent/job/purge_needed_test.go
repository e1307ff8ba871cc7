package job

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/retention"
)

// withChain stores a base of 60 days ago, two backups that depend on it and on one another, and two that stand alone and are
// young.
func withChain(r *Runner, t *testing.T) {
	t.Helper()
	storeBackup(t, r, "shop", backupID(0), "run", today.AddDate(0, 0, -60))
	storeBackup(t, r, "shop", backupID(1), "run", today.AddDate(0, 0, -50), backupID(0))
	storeBackup(t, r, "shop", backupID(2), "run", today.AddDate(0, 0, -40), backupID(1))
	storeBackup(t, r, "shop", backupID(3), "run", today.AddDate(0, 0, -2))
	storeBackup(t, r, "shop", backupID(4), "run", today.AddDate(0, 0, -1))
}

func TestPurgeRemovesNoBackupBeforeThoseThatDependOnIt(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withChain(r, t)
	r.purger.purge(t.Context())
	var removed []string
	for _, entry := range entries(t, r.State) {
		if entry.Removal != nil {
			removed = append(removed, entry.Removal.BackupID)
		}
	}
	if diff := cmp.Diff([]string{backupID(2), backupID(1), backupID(0)}, removed); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
}

func TestPurgeLeavesWhatABackupNeedsThatIsStillRead(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withChain(r, t)
	release := r.reads.begin(backupID(1))
	r.purger.purge(t.Context())
	if diff := cmp.Diff([]string{backupID(0), backupID(1), backupID(3), backupID(4)}, inventoryIDs(r)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	release()
	r.purger.purge(t.Context())
	if diff := cmp.Diff([]string{backupID(3), backupID(4)}, inventoryIDs(r)); diff != "" {
		t.Errorf("left in the end (-want +got):\n%s", diff)
	}
}

func TestABaseStaysForAsLongAsAYoungBackupNeedsIt(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 60, 40, 3, 2)
	storeBackup(t, r, "shop", backupID(9), "run", today.AddDate(0, 0, -1), backupID(0))
	r.purger.purge(t.Context())
	if diff := cmp.Diff([]string{backupID(0), backupID(2), backupID(3), backupID(9)}, inventoryIDs(r)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	base := r.Inventory.Current().Backups[0]
	if base.Retention.Status != retention.StatusNeeded || !strings.Contains(base.Retention.Reason, backupID(9)) {
		t.Errorf("the base is %+v", base.Retention)
	}
}

func TestABackupOfANewerKindStaysAndTakesNoTurnOfADump(t *testing.T) {
	r := newOffline(t, func(c *Config) { c.Now = func() time.Time { return today.Add(time.Hour) } })
	withDays(r, t, 60, 50, 40, 35, 2)
	for _, n := range []int{0, 4} {
		ofNewerKind(r, t, n)
	}
	r.purger.purge(t.Context())
	want := []string{backupID(0), backupID(2), backupID(3), backupID(4)}
	if diff := cmp.Diff(want, inventoryIDs(r)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	newest := newestOfEach(r.Inventory.Current().Backups)
	if len(newest) != 1 || newest[0].ID != backupID(3) {
		t.Errorf("the next test restores are of %d backups, and only the dump %s can be restored", len(newest), backupID(3))
	}
}

// ofNewerKind makes the n-th stored backup one of a kind that only a newer pgharbor knows.
func ofNewerKind(r *Runner, t *testing.T, n int) {
	t.Helper()
	r.Inventory.forget()
	path := folderOf(r.Host).Path(r.Inventory.Current().Backups[n].Location) + ".manifest.json"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Replace(content, []byte(`{"version":1,`), []byte(`{"version":1,"kind":"unheard",`), 1)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
