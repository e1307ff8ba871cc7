package job

import (
	"testing"
	"time"
)

// An inventory without a backup that was reported already makes the control plane
// call that backup missing, and its database damaged.
func TestAnInventoryIsNotKeptThatABackupOvertook(t *testing.T) {
	ended := func() {}
	r := newOffline(t, func(c *Config) {
		c.Now = func() time.Time { ended(); return today.Add(time.Hour) }
	})
	withDays(r, t, 2)
	// The clock is read when the reading begins: the run of another backup ends
	// while the folder is read.
	ended = func() { ended = func() {}; r.Inventory.forget() }
	if held := len(r.Inventory.read().Backups); held != 1 {
		t.Fatalf("%d backups are held, want 1", held)
	}
	storeBackup(t, r, "shop", backupID(1), "run", today.AddDate(0, 0, -1))
	if held := len(r.Inventory.Current().Backups); held != 2 {
		t.Errorf("%d backups are listed after the second one was made, want 2", held)
	}
}
