package server_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func recoverOwner(t *testing.T, cp *servertest.ControlPlane, name string) (server.Initialised, error) {
	t.Helper()
	return server.RecoverOwner(t.Context(), server.RecoverOptions{DataDir: cp.DataDir, Owner: name, Now: time.Now})
}

// The host makes an OWNER, while the control plane serves and while it does not, and the audit log
// of both holds.
func TestOwnerIsRecoveredOnTheHost(t *testing.T) {
	cp := servertest.Start(t)
	device := deviceOf(t, cp.Owner(t))
	second, err := recoverOwner(t, cp, servertest.OwnerName)
	if err != nil {
		t.Fatal(err)
	}
	owner := cp.Dial(t, cp.Enroll(t, cp.Here(t, second.Invite)))
	if _, err := pgharborv1.NewUserServiceClient(owner).RevokeUserDevice(bounded(t),
		&pgharborv1.RevokeUserDeviceRequest{Name: servertest.OwnerName, DeviceId: device}); err != nil {
		t.Errorf("the new device can't end the lost one: %v", err)
	}
	_, err = pgharborv1.NewIdentityServiceClient(cp.Owner(t)).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
	if code := status.Code(err); code != codes.Unauthenticated && code != codes.Unavailable {
		t.Errorf("the lost one: %v", err)
	}

	vera := cp.Dial(t, cp.Enroll(t, invitedBy(t, cp, owner, "vera")))
	if _, err := recoverOwner(t, cp, "vera"); !errors.Is(err, fleet.ErrExists) {
		t.Errorf("a VIEWER with a device: %v", err)
	}
	me, err := pgharborv1.NewIdentityServiceClient(vera).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
	if err != nil || me.GetRole() != "VIEWER" {
		t.Errorf("she is %v, %v", me, err)
	}

	cp.Stop(t)
	while, err := recoverOwner(t, cp, "anna")
	if err != nil {
		t.Fatal(err)
	}
	cp.Run(t)
	anna := cp.Dial(t, cp.Enroll(t, cp.Here(t, while.Invite)))
	all, err := pgharborv1.NewAuditServiceClient(anna).ListAuditEntries(bounded(t), &pgharborv1.ListAuditEntriesRequest{Action: "owner.recover"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all.GetEntries() {
		got = append(got, e.GetActor()+" "+e.GetTarget()+" "+e.GetOutcome())
	}
	want := []string{
		"host user:anna succeeded", "host user:anna started", "host user:vera failed", "host user:vera started",
		"host user:owner succeeded", "host user:owner started",
	}
	if len(got) != len(want) {
		t.Fatalf("the audit log has %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("the audit log has %q", got)
		}
	}
	if _, err := server.VerifyAudit(t.Context(), cp.DataDir); err != nil {
		t.Errorf("the audit log: %v", err)
	}
}

// invitedBy is an invite for a VIEWER.
func invitedBy(t *testing.T, cp *servertest.ControlPlane, owner *grpc.ClientConn, name string) string {
	t.Helper()
	made, err := pgharborv1.NewUserServiceClient(owner).CreateUserInvite(bounded(t), &pgharborv1.CreateUserInviteRequest{Name: name, Role: "VIEWER"})
	if err != nil {
		t.Fatal(err)
	}
	return cp.Here(t, made.GetInvite())
}
