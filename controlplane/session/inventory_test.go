package session_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestInventoryReplacesWhatIsKnown(t *testing.T) {
	cp := start(t)
	kept, gone, back, removed := aBackup(), aBackup(), aBackup(), aBackup()
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	for _, b := range []*pgharborv1.Backup{gone, removed} {
		a.report(t, runFinished(aRun(), b))
	}
	a.report(t, backupRemoved(removed.GetId()))

	a.send(t, heartbeat(&pgharborv1.Heartbeat{InventoryDigest: "one"}))
	if m := a.receive(t); m.GetInventoryRequest() == nil {
		t.Fatalf("got %v, want a request for the inventory", m)
	}
	// Two pages make one inventory; until its last page nothing has changed.
	a.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_InventoryPage{InventoryPage: &pgharborv1.InventoryPage{
		Backups: []*pgharborv1.Backup{kept}, Digest: "one",
	}}})
	a.allTaken(t)
	if got := cp.backups(t, "db1")[gone.GetId()]; got != fleet.BackupPresent {
		t.Errorf("after half an inventory a backup is %s", got)
	}
	a.send(t, inventory("one", back))
	a.allTaken(t)
	want := map[string]string{
		kept.GetId(): fleet.BackupPresent, back.GetId(): fleet.BackupPresent, gone.GetId(): fleet.BackupMissing, removed.GetId(): fleet.BackupRemoved,
	}
	if diff := cmp.Diff(want, cp.backups(t, "db1")); diff != "" {
		t.Errorf("after the first inventory: %s", diff)
	}

	a.send(t, inventory("two", kept, gone))
	a.allTaken(t)
	want[gone.GetId()], want[back.GetId()] = fleet.BackupPresent, fleet.BackupMissing
	if diff := cmp.Diff(want, cp.backups(t, "db1")); diff != "" {
		t.Errorf("after the second: %s", diff)
	}

	// An inventory that is known is not asked for, also in a later session.
	a.send(t, heartbeat(&pgharborv1.Heartbeat{InventoryDigest: "two"}))
	a.allTaken(t)
	a.end()
	a = cp.connect(t, "db1", &pgharborv1.Hello{InventoryDigest: "two"})
	a.allTaken(t)
	a = cp.connect(t, "db1", &pgharborv1.Hello{InventoryDigest: "three"})
	if m := a.receive(t); m.GetInventoryRequest() == nil {
		t.Fatalf("got %v, want a request for the inventory", m)
	}
}

// An inventory that is too large is not held in memory, and the agent serves
// on: what it reports is taken, and nothing counts as missing.
func TestInventoryThatIsTooLargeIsPassedOver(t *testing.T) {
	session.LimitInventory(t, 3000)
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	known, large := aBackup(), aBackup(func(b *pgharborv1.Backup) { b.HoldReason = strings.Repeat("x", 2000) })
	a.report(t, runFinished(aRun(), known))
	a.send(t, heartbeat(&pgharborv1.Heartbeat{InventoryDigest: "large"}))
	if m := a.receive(t); m.GetInventoryRequest() == nil {
		t.Fatalf("got %v, want a request for the inventory", m)
	}
	page := inventory("large", large)
	page.GetInventoryPage().Last = false
	for _, m := range []*pgharborv1.ConnectRequest{page, inventory("large", aBackup()), heartbeat(&pgharborv1.Heartbeat{InventoryDigest: "large"})} {
		a.send(t, m)
	}
	a.allTaken(t) // it is not asked for again
	if diff := cmp.Diff(map[string]string{known.GetId(): fleet.BackupPresent}, cp.backups(t, "db1")); diff != "" {
		t.Error(diff)
	}
	a.send(t, inventory("small", known))
	a.allTaken(t)
	if agent, err := cp.Catalog.Agents.Get(t.Context(), "db1"); err != nil || agent.InventoryDigest != "small" {
		t.Errorf("the inventory that was taken is %q, %v", agent.InventoryDigest, err)
	}
}
