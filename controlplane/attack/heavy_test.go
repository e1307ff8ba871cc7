package attack_test

import (
	"runtime"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// most is what the control plane and its attacker, in one process, may allocate.
const most = 200 << 20

// allocated is how many bytes were allocated while f ran.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A page of an inventory with 4 million empty backups, of two bytes each, was 2.6 GiB
// in memory. The session ends with it.
func TestPageOfEmptyBackupsTakesNoMemory(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	s := connect(t, h.malloryConn, &pgharborv1.Hello{Status: databases(1, "m%d")})
	page := &pgharborv1.InventoryPage{Digest: "x", Backups: make([]*pgharborv1.Backup, 1_000_000)}
	empty := &pgharborv1.Backup{}
	for n := range page.Backups {
		page.Backups[n] = empty
	}
	ended := false
	took := allocated(func() {
		s.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_InventoryPage{InventoryPage: page}})
		// Its answer comes after the page was looked at.
		_ = s.Send(reportOf(backupOf("m0", 1))) // the session has ended
		for m, err := s.Recv(); !ended && m.GetReportAck() == nil; m, err = s.Recv() {
			ended = err != nil
		}
	})
	if !ended || took > most {
		t.Errorf("%d bytes were allocated; the session has ended: %t", took, ended)
	}
	if honest := h.health(t)["shop-db"]; len(honest) != 1 || honest[0].GetVerdict() != "OK" {
		t.Errorf("the honest one is %v", honest)
	}
}

// Nor do hellos, which are read before anybody is admitted.
func TestHellosOfEmptyDatabasesTakeNoMemory(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	status := &pgharborv1.AgentStatus{Databases: make([]*pgharborv1.InstanceDatabase, 1_000_000)}
	empty := &pgharborv1.InstanceDatabase{}
	for n := range status.Databases {
		status.Databases[n] = empty
	}
	took := allocated(func() {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				stream, err := pgharborv1.NewSessionServiceClient(h.malloryConn).Connect(bounded(t))
				if err == nil {
					err = stream.Send(&pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Hello{Hello: &pgharborv1.Hello{Status: status}}})
				}
				if err != nil {
					t.Error(err)
				} else if m, err := stream.Recv(); err == nil {
					t.Errorf("the answer is %v", m)
				}
			})
		}
		all.Wait()
	})
	if took > most {
		t.Errorf("%d bytes were allocated", took)
	}
	h.health(t)
}

// And few of them are under way at a time.
func TestAFewSessionsOfOneAgentAreEnough(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	for n := range 17 {
		stream, err := pgharborv1.NewSessionServiceClient(h.malloryConn).Connect(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		if n < 16 {
			continue // no hello: each waits for it
		}
		if _, err := stream.Recv(); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("session %d: %v", n, err)
		}
	}
	h.health(t)
}
