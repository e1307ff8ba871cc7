package session_test

import (
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/state"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// An inventory may be half a minute old, and a backup that another process makes
// meanwhile is reported at once: the page that follows the report has it too.
func TestBackupByHandIsInTheInventoryAfterItsReport(t *testing.T) {
	leakless(t)
	harbor, conn := openHarbor(t)
	work := newRunner(t)
	connect(t, conn, work)
	p, hello := harbor.next(t, time.Second) // with the inventory that is known from now on
	p.until(isHeartbeat)
	const id = "aaaabbbbccccdddd"
	storeFile(t, work, id, []byte("x"))
	made, err := work.Backups.Repository.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	other, err := state.Open(work.State.Dir())
	if err != nil {
		t.Fatal(err)
	}
	run := state.Run{
		ID: "run1", Database: "shop", Trigger: state.TriggerManual, State: state.StateSucceeded, StartedAt: made.StartedAt, FinishedAt: made.FinishedAt, BackupID: id,
	}
	if err := other.Journal.Append(state.Entry{ID: "run-run1", Run: &run, Backup: &made.Manifest}); err != nil {
		t.Fatal(err)
	}
	all := p.until(func(m *pgharborv1.ConnectRequest) bool { return m.GetReport() != nil })
	if b := all[len(all)-1].GetReport().GetRunFinished().GetBackup(); b.GetRetention().GetStatus() == "" {
		t.Errorf("it is reported without what retention says: %v", b)
	}
	p.send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_InventoryRequest{InventoryRequest: &pgharborv1.InventoryRequest{}}})
	all = p.until(func(m *pgharborv1.ConnectRequest) bool { return m.GetInventoryPage() != nil })
	page := all[len(all)-1].GetInventoryPage()
	if len(page.GetBackups()) != 1 || page.GetBackups()[0].GetId() != id || page.GetDigest() == hello.GetInventoryDigest() {
		t.Errorf("the inventory after the report is %v", page)
	}
}
