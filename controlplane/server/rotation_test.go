package server_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// holder is an identity on disk, as a running agent or a command has it.
type holder struct {
	dir      string
	identity *client.Identity
	conn     *grpc.ClientConn
}

// hold loads an identity again, as a start of its program does.
func hold(t *testing.T, cp *servertest.ControlPlane, dir string) *holder {
	t.Helper()
	identity, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := identity.Dial(grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", cp.Address())
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &holder{dir: dir, identity: identity, conn: conn}
}

// looked is how often somebody has looked; each look is an hour after the last.
var looked atomic.Int64

// looks does what every program does once an hour, and reports whether it has
// another certificate now.
func (h *holder) looks(t *testing.T) bool {
	t.Helper()
	renewed, err := h.identity.RenewIfDue(bounded(t), h.conn, time.Now().Add(time.Duration(looked.Add(1))*61*time.Minute))
	if err != nil {
		t.Fatalf("%s: %v", h.identity.Name(), err)
	}
	return renewed
}

// isLetIn dials again with what is on disk.
func isLetIn(t *testing.T, cp *servertest.ControlPlane, dir string) error {
	t.Helper()
	_, err := pgharborv1.NewIdentityServiceClient(hold(t, cp, dir).conn).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
	return err
}

// stillBehind are the names of those who still need the older CA.
func stillBehind(t *testing.T, cp *servertest.ControlPlane) []string {
	t.Helper()
	state, err := server.ListCAs(t.Context(), cp.DataDir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range state.Behind {
		names = append(names, b.Who)
	}
	return names
}

// connectedFleet connects everybody but db3, who is away, and returns who is there and
// what checks that the agents among them still are.
func connectedFleet(t *testing.T, cp *servertest.ControlPlane, dirs map[string]string) (present map[string]*holder, stillConnected func(when string)) {
	t.Helper()
	present = map[string]*holder{}
	sessions := map[string]*agent{}
	for name, dir := range dirs {
		if name != "db3" {
			present[name] = hold(t, cp, dir)
		}
	}
	for _, name := range []string{"db1", "db2"} {
		sessions[name] = &agent{name: name, conn: present[name].conn}
		sessions[name].connect(t)
	}
	return present, func(when string) {
		t.Helper()
		for name, a := range sessions {
			a.hasBackup(t, 10)
			if t.Failed() {
				t.Fatalf("%s: %s", when, name)
			}
		}
	}
}

func allAreLetIn(t *testing.T, cp *servertest.ControlPlane, dirs map[string]string, when string) {
	t.Helper()
	for name, dir := range dirs {
		if err := isLetIn(t, cp, dir); err != nil {
			t.Errorf("%s %s: %v", name, when, err)
		}
	}
}

func checkRotationInAuditLog(t *testing.T, cp *servertest.ControlPlane) {
	t.Helper()
	for _, action := range []string{"ca.rotate", "ca.retire"} {
		all := auditLog(t, cp, action)
		if len(all) < 2 || all[1].Outcome != "succeeded" || all[0].Actor != "host" || !strings.HasPrefix(all[0].Target, "ca:sha256:") {
			t.Errorf("the audit log of %s: %+v", action, all)
		}
	}
}

func TestCARotationDropsNobody(t *testing.T) {
	t.Parallel()
	cp := servertest.Start(t)
	owner := cp.OwnerDir(t)
	dirs := map[string]string{
		"owner": owner, "vera": cp.Enroll(t, cp.InviteUser(t, "vera", fleet.RoleViewer)),
		"db1": cp.Enroll(t, cp.InviteAgent(t, "db1")), "db2": cp.Enroll(t, cp.InviteAgent(t, "db2")), "db3": cp.Enroll(t, cp.InviteAgent(t, "db3")),
	}
	present, stillConnected := connectedFleet(t, cp, dirs)
	if _, err := server.RotateCA(t.Context(), cp.DataDir, time.Now()); err != nil {
		t.Fatal(err)
	}
	stillConnected("rotated")
	if got := stillBehind(t, cp); len(got) != len(dirs) {
		t.Errorf("right after the rotation these need the older CA: %v", got)
	}
	if _, err := server.RotateCA(t.Context(), cp.DataDir, time.Now()); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("a rotation within a rotation: %v", err)
	}
	allAreLetIn(t, cp, dirs, "during the overlap")
	for name, h := range present {
		if !h.looks(t) {
			t.Errorf("%s did not move to the newer CA", name)
		}
		if h.looks(t) {
			t.Errorf("%s renews again and again", name)
		}
	}
	if got := stillBehind(t, cp); !slices.Equal(got, []string{"agent:db3"}) {
		t.Errorf("these need the older CA: %v, want the one that was away", got)
	}
	if _, err := server.RetireCA(t.Context(), cp.DataDir, false, time.Now()); !errors.Is(err, fleet.ErrConflict) || !strings.Contains(err.Error(), "db3") {
		t.Errorf("retiring with db3 away: %v", err)
	}
	// db3 is back, and is another one from the first moment on.
	if !hold(t, cp, dirs["db3"]).looks(t) {
		t.Error("db3 did not move to the newer CA")
	}
	state, err := server.RetireCA(t.Context(), cp.DataDir, false, time.Now())
	if err != nil || len(state.Authorities) != 1 {
		t.Fatalf("%+v, %v", state, err)
	}
	stillConnected("retired")
	allAreLetIn(t, cp, dirs, "after the older CA was retired")
	cp.Stop(t)
	cp.Run(t)
	for name, dir := range dirs {
		h := hold(t, cp, dir)
		if err := isLetIn(t, cp, dir); err != nil || h.looks(t) || len(h.identity.Trusted()) != 1 {
			t.Errorf("%s after a restart: %v, and it trusts %d CAs", name, err, len(h.identity.Trusted()))
		}
	}
	connectAgent(t, cp, "db4") // by an invite that names the newer CA

	checkRotationInAuditLog(t, cp)
}

func TestRetiringByForceLocksOutWhoIsBehind(t *testing.T) {
	t.Parallel()
	cp := servertest.Start(t)
	owner, db1 := cp.OwnerDir(t), cp.Enroll(t, cp.InviteAgent(t, "db1"))
	if _, err := server.RetireCA(t.Context(), cp.DataDir, true, time.Now()); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("retiring the only CA: %v", err)
	}
	if _, err := server.RotateCA(t.Context(), cp.DataDir, time.Now()); err != nil {
		t.Fatal(err)
	}
	waiting := cp.InviteAgent(t, "db2") // names the older CA
	hold(t, cp, owner).looks(t)
	if got := stillBehind(t, cp); !slices.Equal(got, []string{"agent:db1", "invite for agent:db2"}) {
		t.Errorf("these need the older CA: %v", got)
	}
	cp.Enroll(t, waiting)
	if _, err := server.RetireCA(t.Context(), cp.DataDir, true, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := isLetIn(t, cp, db1); err == nil {
		t.Error("who was behind is let in")
	}
	if err := isLetIn(t, cp, owner); err != nil {
		t.Errorf("who was not: %v", err)
	}
	if all := auditLog(t, cp, "ca.retire"); len(all) != 2 || all[0].Detail != "2 locked out" {
		t.Errorf("the audit log: %+v", all)
	}
}
