package server_test

import (
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Anyone who made an invite knows its word: it ends with the device and with the rights that it was
// made with, and else it goes on.
func TestInvitesEndWithTheRightsOfWhoMadeThem(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(t *testing.T, cp *servertest.ControlPlane, bob *grpc.ClientConn)
		target string // of the audit log's entry; empty if the invite goes on
	}{
		"the device is revoked": {func(t *testing.T, cp *servertest.ControlPlane, bob *grpc.ClientConn) {
			revokeDevice(t, cp, "bob", deviceOf(t, bob))
		}, "device:"},
		"another device is revoked": {func(t *testing.T, cp *servertest.ControlPlane, _ *grpc.ClientConn) {
			revokeDevice(t, cp, "bob", deviceOf(t, cp.Dial(t, cp.Enroll(t, cp.Here(t, inviteFrom(t, cp.Owner(t), "bob", fleet.RoleOwner))))))
		}, ""},
		"a lesser role": {func(t *testing.T, cp *servertest.ControlPlane, _ *grpc.ClientConn) {
			setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "bob", Role: "VIEWER"})
		}, "user:bob"},
		"a lesser scope": {func(t *testing.T, cp *servertest.ControlPlane, _ *grpc.ClientConn) {
			setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "bob", Scope: &pgharborv1.NewScope{Instances: []string{"prod-*"}}})
		}, "user:bob"},
		"nothing is less": {func(t *testing.T, cp *servertest.ControlPlane, _ *grpc.ClientConn) {
			setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "bob", Role: "OWNER"})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cp := servertest.Start(t)
			bob := cp.User(t, "bob", fleet.RoleOwner)
			person := inviteFrom(t, bob, "zed", fleet.RoleOwner)
			agent, err := pgharborv1.NewAgentServiceClient(bob).CreateAgentInvite(bounded(t), &pgharborv1.CreateAgentInviteRequest{Name: "db9"})
			if err != nil {
				t.Fatal(err)
			}
			tt.change(t, cp, bob)
			for kind, left := range map[string]string{"person": person, "agent": agent.GetInvite()} {
				err := tryEnrolling(t, cp, filepath.Join(t.TempDir(), kind), left)
				if void := status.Code(err) == codes.Unauthenticated && strings.Contains(err.Error(), "void"); void != (tt.target != "") {
					t.Errorf("the invite of the %s: %v", kind, err)
				}
			}
			told := auditLog(t, cp, "invite.void")
			switch {
			case tt.target == "" && len(told) == 0:
			case tt.target != "" && len(told) == 1 && told[0].Actor == "user:owner" && strings.HasPrefix(told[0].Target, tt.target) && strings.HasPrefix(told[0].Detail, "2 made"):
			default:
				t.Errorf("the audit log: %+v", told)
			}
		})
	}
}
