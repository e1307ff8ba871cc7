package server_test

import (
	"database/sql"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// meddler does something once, in the middle of what the control plane does: the clock is read
// before each entry of the audit log.
type meddler struct {
	now  atomic.Pointer[func() bool] // whether the moment has come
	then func()
}

func (m *meddler) into(config *server.Config) {
	config.Now = func() time.Time {
		if now := m.now.Load(); now != nil && (*now)() && m.now.CompareAndSwap(now, nil) {
			m.then()
		}
		return time.Now()
	}
}

// Between the use of an approval and its effect a spare device was enrolled, and had
// the rights that were approved for another.
func TestApprovedRightsAreNotThoseOfADeviceThatComesMeanwhile(t *testing.T) {
	ways := growths(t)
	delete(ways, "a scope") // hers is the whole fleet already
	for name, grow := range ways {
		t.Run(name, func(t *testing.T) {
			var m meddler
			cp, _, owner, bob := twoOwners(t, m.into)
			cp.User(t, "olga", fleet.RoleOperator)
			setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
			spare := inviteFrom(t, owner, "olga", fleet.RoleOperator)
			users := pgharborv1.NewUserServiceClient(owner)
			id := waitsFor(t, grow(users))
			mustApprove(t, bob, id)
			catalog, err := sql.Open("sqlite", filepath.Join(cp.DataDir, "catalog.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = catalog.Close() })
			enrolled := make(chan error, 1)
			m.then = func() { enrolled <- tryEnrolling(t, cp, filepath.Join(t.TempDir(), "spare"), spare) }
			used := func() (is bool) {
				_ = catalog.QueryRow(`SELECT state = 'used' FROM approvals WHERE id = ?`, id).Scan(&is)
				return is
			}
			m.now.Store(&used)
			grown := grow(users)
			if err := <-enrolled; err != nil {
				t.Fatalf("the spare device came too late to test anything: %v", err)
			}
			if status.Code(grown) != codes.FailedPrecondition {
				t.Errorf("what was approved for one device holds for two: %v", grown)
			}
			if next := waitsFor(t, grow(users)); details(t, bob, next)["devices"] == details(t, bob, id)["devices"] {
				t.Error("the next approval is asked for the same devices")
			}
		})
	}
}
