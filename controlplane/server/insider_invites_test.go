package server_test

import (
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// tryEnrolling redeems an invite with a key of its own, and returns the folder of the
// identity. To try again with the same folder is to try with the same key.
func tryEnrolling(t *testing.T, cp *servertest.ControlPlane, dir, invite string) error {
	t.Helper()
	_, err := client.EnrollDevice(t.Context(), dir, cp.Here(t, invite), "spare")
	return err
}

// inviteFrom makes an invite by somebody.
func inviteFrom(t *testing.T, conn *grpc.ClientConn, name string, role fleet.Role) string {
	t.Helper()
	made, err := pgharborv1.NewUserServiceClient(conn).CreateUserInvite(bounded(t), &pgharborv1.CreateUserInviteRequest{Name: name, Role: string(role)})
	if err != nil {
		t.Fatal(err)
	}
	return made.GetInvite()
}

// growths are the ways in which the rights of olga grow.
func growths(t *testing.T) map[string]func(pgharborv1.UserServiceClient) error {
	return map[string]func(pgharborv1.UserServiceClient) error{
		"a grant": func(users pgharborv1.UserServiceClient) error {
			_, err := users.GrantPermission(bounded(t), &pgharborv1.GrantPermissionRequest{Name: "olga", Permission: "backup.restore"})
			return err
		},
		"a role": func(users pgharborv1.UserServiceClient) error {
			_, err := users.UpdateUser(bounded(t), &pgharborv1.UpdateUserRequest{Name: "olga", Role: "OWNER"})
			return err
		},
		"a scope": func(users pgharborv1.UserServiceClient) error {
			_, err := users.UpdateUser(bounded(t), &pgharborv1.UpdateUserRequest{Name: "olga", Scope: &pgharborv1.NewScope{Instances: []string{"*"}}})
			return err
		},
	}
}

// A spare invite from before somebody's rights grew made a device with the new ones, and so a
// second person, for anyone who had kept it.
func TestSpareInviteIsVoidOnceRightsGrow(t *testing.T) {
	for name, grow := range growths(t) {
		t.Run(name, func(t *testing.T) {
			cp, _, owner, bob := twoOwners(t)
			olga := cp.User(t, "olga", fleet.RoleOperator)
			spare, used := inviteFrom(t, owner, "olga", fleet.RoleOperator), inviteFrom(t, owner, "olga", fleet.RoleOperator)
			if err := tryEnrolling(t, cp, filepath.Join(t.TempDir(), "used"), used); err != nil {
				t.Fatalf("before: %v", err) // the trap is live
			}
			setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
			users := pgharborv1.NewUserServiceClient(owner)
			err := grow(users)
			if err != nil {
				mustApprove(t, bob, waitsFor(t, err))
				err = grow(users)
			}
			if err != nil {
				t.Fatal(err)
			}
			err = tryEnrolling(t, cp, filepath.Join(t.TempDir(), "spare"), spare)
			if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "void") {
				t.Errorf("after it: %v", err)
			}
			if told := auditLog(t, cp, "invite.void"); len(told) != 1 || told[0].Actor != "user:owner" || told[0].Target != "user:olga" {
				t.Errorf("the audit log: %+v", told)
			}
			if last := endOfAuditLog(t, cp, "identity.enroll"); last.Outcome != "denied" || last.Target != "user:olga" || !strings.Contains(last.Detail, "void") {
				t.Errorf("the audit log ends with %+v", last)
			}
			deviceOf(t, olga) // who she is goes on
		})
	}
}

// Nor is an invite good for a second person that was made before a policy asked for one: the new
// device waits, for anybody except the maker of its invite.
func TestSpareInviteFromBeforeAPolicyWaits(t *testing.T) {
	cp, _, owner, bob := twoOwners(t)
	spare := inviteFrom(t, owner, "bob", fleet.RoleOwner) // which owner keeps
	viewer := inviteFrom(t, owner, "vera", fleet.RoleViewer)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
	dir := filepath.Join(t.TempDir(), "spare")
	id := waitsFor(t, tryEnrolling(t, cp, dir, spare))
	if err := approve(t, owner, id); status.Code(err) != codes.PermissionDenied {
		t.Errorf("who made the invite approves: %v", err)
	}
	if again := waitsFor(t, tryEnrolling(t, cp, dir, spare)); again != id {
		t.Errorf("asked again, it waits for %s, not %s", again, id)
	}
	shown, err := pgharborv1.NewApprovalServiceClient(bob).GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: id})
	if got := shown.GetApproval(); err != nil || got.GetAction() != "device.enroll" || got.GetTarget() != "user:bob" || got.GetRequestedBy() != "owner" ||
		got.GetDetails()[0].GetValue() != "spare" || got.GetDetails()[2].GetValue() != "OWNER on the whole fleet" {
		t.Errorf("who decides is shown %v, %v", shown, err)
	}
	mustApprove(t, bob, id) // it is theirs, on another machine
	// What was approved of is this device, and not the word of the invite.
	if other := waitsFor(t, tryEnrolling(t, cp, filepath.Join(t.TempDir(), "other"), spare)); other == id {
		t.Error("the approval is good for another key")
	}
	if err := tryEnrolling(t, cp, dir, spare); err != nil {
		t.Errorf("approved: %v", err)
	}
	// Anyone who could approve of nothing waits for nobody.
	if err := tryEnrolling(t, cp, filepath.Join(t.TempDir(), "vera"), viewer); err != nil {
		t.Errorf("a VIEWER: %v", err)
	}
}

// What was approved of when it was made, or is the host's own word, needs nobody else.
func TestApprovedInviteWaitsForNobody(t *testing.T) {
	cp, _, owner, bob := twoOwners(t)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
	request := &pgharborv1.CreateUserInviteRequest{Name: "carl", Role: "OWNER"}
	users := pgharborv1.NewUserServiceClient(owner)
	_, err := users.CreateUserInvite(bounded(t), request)
	mustApprove(t, bob, waitsFor(t, err))
	made, err := users.CreateUserInvite(bounded(t), request)
	if err != nil {
		t.Fatal(err)
	}
	recovered, err := recoverOwner(t, cp, "dora")
	if err != nil {
		t.Fatal(err)
	}
	for name, invite := range map[string]string{"approved": made.GetInvite(), "recovered": recovered.Invite} {
		if err := tryEnrolling(t, cp, filepath.Join(t.TempDir(), name), invite); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A device that is added while a grant waits is no part of what was approved of.
func TestGrantIsApprovedForTheDevicesThatThereAre(t *testing.T) {
	cp, _, owner, bob := twoOwners(t)
	cp.User(t, "olga", fleet.RoleOperator)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
	ask := func() error {
		_, err := pgharborv1.NewUserServiceClient(owner).GrantPermission(bounded(t), &pgharborv1.GrantPermissionRequest{Name: "olga", Permission: "backup.restore"})
		return err
	}
	id := waitsFor(t, ask())
	mustApprove(t, bob, id)
	if err := tryEnrolling(t, cp, filepath.Join(t.TempDir(), "spare"), inviteFrom(t, owner, "olga", fleet.RoleOperator)); err != nil {
		t.Fatal(err)
	}
	next := waitsFor(t, ask())
	if next == id {
		t.Fatal("the approval is good for a device that came later")
	}
	shown, err := pgharborv1.NewApprovalServiceClient(bob).GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: next})
	if err != nil || !strings.Contains(shown.GetApproval().GetDetails()[1].GetValue(), "spare ") {
		t.Errorf("who decides is shown %v, %v", shown, err)
	}
}

// Anyone who is revoked leaves no invites behind whose words they know.
func TestInvitesOfWhoIsRevokedAreVoid(t *testing.T) {
	cp, _, _, bob := twoOwners(t)
	left := inviteFrom(t, bob, "vera", fleet.RoleViewer)
	revokeUser(t, cp, "bob")
	if err := tryEnrolling(t, cp, filepath.Join(t.TempDir(), "left"), left); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "void") {
		t.Errorf("got %v", err)
	}
}
