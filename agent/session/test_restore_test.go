package session_test

import (
	"os"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What changes about a backup is told at once, and not with the next heartbeat,
// which here comes in minutes.
func TestHoldsAndFailedTestRestoresAreToldAtOnce(t *testing.T) {
	served := onServer(t)
	leakless(t)
	harbor, conn := openHarbor(t)
	ground, err := os.MkdirTemp("/tmp", "pgv") // a short path, which the server's user can reach
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(ground) })
	if err := os.Chmod(ground, 0o711); err != nil {
		t.Fatal(err)
	}
	work := newRunner(t, served, func(c *job.Config) { c.Plan.Verify.Dir = ground })
	storeFile(t, work, "backup0000000001", []byte("backup0000000001"))
	connect(t, conn, work)
	p, hello := harbor.next(t, 5*time.Minute)

	p.offer(&pgharborv1.Offer{JobId: "job1", Spec: &pgharborv1.Offer_Hold{Hold: &pgharborv1.HoldSpec{
		BackupId: "backup0000000001", Reason: "audit", By: "user:ada",
	}}})
	told := p.until(func(m *pgharborv1.ConnectRequest) bool { return m.GetHeartbeat().GetInventoryDigest() != "" })
	if digest := told[len(told)-1].GetHeartbeat().GetInventoryDigest(); digest == hello.GetInventoryDigest() {
		t.Error("the digest of a held backup is that of one that is not")
	}
	held := inventoryOf(p)
	if !held.GetHeld() || held.GetHoldReason() != "audit" || held.GetHeldBy() != "user:ada" || held.GetState() != backup.StatePresent {
		t.Errorf("the inventory has %v", held)
	}

	// Its content is no dump: put to the test, it fails.
	p.offer(&pgharborv1.Offer{JobId: "job2", Spec: &pgharborv1.Offer_Verify{Verify: &pgharborv1.VerifySpec{BackupId: "backup0000000001"}}})
	told = p.until(func(m *pgharborv1.ConnectRequest) bool { return m.GetReport().GetBackupProved() != nil })
	tested := told[len(told)-1].GetReport().GetBackupProved()
	if tested.GetBackupId() != "backup0000000001" || tested.GetProof().GetState() != backup.ProofFailed || len(tested.GetProof().GetDifferences()) != 1 {
		t.Errorf("reported: %v", tested)
	}
	if testRestore := inventoryOf(p).GetProof(); testRestore.GetState() != backup.ProofFailed || testRestore.GetFinishedAt() == nil {
		t.Errorf("the inventory has the test restore %v", testRestore)
	}
}

// A file that was cut is told with what is wrong with it.
func TestDamageIsInTheInventory(t *testing.T) {
	harbor, conn := openHarbor(t)
	work := newRunner(t)
	storeFile(t, work, "backup0000000001", []byte("backup0000000001"))
	if err := os.Truncate(pathOf(t, work), 3); err != nil {
		t.Fatal(err)
	}
	connect(t, conn, work)
	p, _ := harbor.next(t, time.Minute)
	if got := inventoryOf(p); got.GetState() != backup.StateDamaged || got.GetDamage() != "it has 3 bytes, and its manifest says 16" {
		t.Errorf("the inventory has %v", got)
	}
}

func pathOf(t *testing.T, work *job.Runner) string {
	t.Helper()
	stored, err := work.Engine.Find("backup0000000001")
	if err != nil {
		t.Fatal(err)
	}
	return folderOf(work.Engine).Path(stored.Location)
}

// inventoryOf asks for the inventory, and returns its one backup.
func inventoryOf(p *peer) *pgharborv1.Backup {
	p.t.Helper()
	p.send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_InventoryRequest{InventoryRequest: &pgharborv1.InventoryRequest{}}})
	all := p.until(func(m *pgharborv1.ConnectRequest) bool { return m.GetInventoryPage() != nil })
	backups := all[len(all)-1].GetInventoryPage().GetBackups()
	if len(backups) != 1 {
		p.t.Fatalf("the inventory has %d backups", len(backups))
	}
	return backups[0]
}
