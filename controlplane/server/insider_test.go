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

// The insider: what somebody of the fleet tried with the rights that they have, got
// by it once, and does not any longer.

// carryingOff is olga, an OPERATOR who may restore, and who has the host of the agent
// mine. What she is after is a backup of db1.
func carryingOff(t *testing.T, sealed bool) (cp *servertest.ControlPlane, olga *grpc.ClientConn, source, mine *agent, request *pgharborv1.CreateRestoreRequest) {
	t.Helper()
	cp = servertest.Start(t)
	source, mine = connectAgent(t, cp, "db1"), connectAgent(t, cp, "mine")
	olga = cp.User(t, "olga", fleet.RoleOperator)
	grant(t, cp, "olga", "backup.restore")
	return cp, olga, source, mine, &pgharborv1.CreateRestoreRequest{
		BackupId: source.hasBackupWith(t, int64(len("sealed")), sealed), TargetDatabase: "again", TargetInstance: "mine", Confirm: "again", Reason: "a drill",
	}
}

// Who may restore, and has an agent of their own, had whole files sent there without
// the right to download any: that they leave takes a permission of its own.
func TestFilesDoNotLeaveByTheRightToRestore(t *testing.T) {
	cp, olga, _, mine, request := carryingOff(t, true)
	err := restoring(t, olga, request)
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "backup.export") {
		t.Errorf("without it: %v", err)
	}
	if told := trail(t, cp, "RestoreService/CreateRestore"); len(told) != 1 || told[0].Outcome != "denied" || told[0].Actor != "user:olga" || told[0].Instance != "db1" {
		t.Errorf("the trail: %+v", told)
	}
	// It counts where the file leaves, and not where it gets.
	grant(t, cp, "olga", "backup.export", "mine")
	if err := restoring(t, olga, request); status.Code(err) != codes.PermissionDenied {
		t.Errorf("with it on her own instance: %v", err)
	}
	grant(t, cp, "olga", "backup.export", "db*")
	if err := restoring(t, olga, request); err != nil {
		t.Errorf("with it on db*: %v", err)
	}
	mine.offer(t)
}

// She had the file three times on one restore.
func TestBackupLeavesOnceForARestore(t *testing.T) {
	cp, olga, source, mine, request := carryingOff(t, true)
	grant(t, cp, "olga", "backup.export")
	if err := restoring(t, olga, request); err != nil {
		t.Fatal(err)
	}
	id := mine.offer(t).GetJobId()
	uploaded := source.sendsWhole(t, "sealed")
	if _, content, err := mine.fetch(t, id); content != "sealed" || err != nil {
		t.Fatalf("the first time: %q, %v", content, err)
	}
	if err := <-uploaded; err != nil {
		t.Error(err)
	}
	for range 50 {
		if manifest, content, err := mine.fetch(t, id); status.Code(err) != codes.FailedPrecondition || manifest+content != "" {
			t.Errorf("once more: %q, %q, %v", manifest, content, err)
		}
	}
	told := trail(t, cp, "backup.fetch")
	if len(told) != 5 || told[1].Outcome != "succeeded" {
		t.Fatalf("the trail: %+v", told)
	}
	for _, e := range told[2:] { // the rest is counted
		if e.Outcome != "denied" || e.Actor != "user:olga" || !strings.Contains(e.Detail, "was fetched before") {
			t.Errorf("the trail: %+v", e)
		}
	}
}

// Nor can she have it again by breaking off before the end.
func TestTransferThatIsBrokenOffIsNotTakenUpAgain(t *testing.T) {
	cp, olga, source, mine, request := carryingOff(t, true)
	grant(t, cp, "olga", "backup.export")
	if err := restoring(t, olga, request); err != nil {
		t.Fatal(err)
	}
	id := mine.offer(t).GetJobId()
	half := source.sendsWhole(t, "seal") // of six bytes
	if _, content, err := mine.fetch(t, id); content != "seal" || status.Code(err) != codes.DataLoss {
		t.Errorf("got %q, %v", content, err)
	}
	if err := <-half; err != nil {
		t.Errorf("the half that was sent: %v", err)
	}
	if _, content, err := mine.fetch(t, id); content != "" || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("once more: %q, %v", content, err)
	}
}

// What the source does not seal is plaintext on her host, as a download would be.
func TestPlaintextDoesNotLeaveByTheRightToExport(t *testing.T) {
	cp, olga, _, mine, request := carryingOff(t, false)
	grant(t, cp, "olga", "backup.export")
	err := restoring(t, olga, request)
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "backup.download") {
		t.Errorf("of an OPERATOR: %v", err)
	}
	if told := trail(t, cp, "RestoreService/CreateRestore"); len(told) != 1 || told[0].Outcome != "denied" {
		t.Errorf("the trail: %+v", told)
	}
	if err := restoring(t, cp.Owner(t), request); err != nil {
		t.Fatalf("of who may download: %v", err)
	}
	mine.offer(t)
	if told := trail(t, cp, "backup.restore"); len(told) != 1 || !strings.Contains(told[0].Detail, "in plaintext") {
		t.Errorf("the trail: %+v", told)
	}
}

// What she had asked for while she might leaves no longer when she may not, before its
// first byte or in the midst of it.
func TestFileStaysWhenItsRequesterMayNoLonger(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *servertest.ControlPlane){
		"revoked": func(t *testing.T, cp *servertest.ControlPlane) { revokeUser(t, cp, "olga") },
		"without the grant": func(t *testing.T, cp *servertest.ControlPlane) {
			_, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).RevokePermission(bounded(t),
				&pgharborv1.RevokePermissionRequest{Name: "olga", Permission: "backup.export"})
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, midst := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				cp, olga, source, mine, request := carryingOff(t, true)
				request.BackupId = source.hasBackup(t, 1<<40)
				grant(t, cp, "olga", "backup.export")
				if err := restoring(t, olga, request); err != nil {
					t.Fatal(err)
				}
				id := mine.offer(t).GetJobId()
				if midst {
					go func() {
						up := source.upload(t, source.offer(t).GetJobId())
						if err := up.Send(chunk("first")); err != nil {
							t.Error(err)
						}
					}()
				} else {
					end(t, cp)
				}
				stream, err := pgharborv1.NewTransferServiceClient(mine.conn).Fetch(bounded(t), &pgharborv1.FetchRequest{TransferId: id})
				if err != nil {
					t.Fatal(err)
				}
				if midst {
					for range 2 { // the manifest and the first bytes
						if _, err := stream.Recv(); err != nil {
							t.Fatal(err)
						}
					}
					end(t, cp)
				}
				if part, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
					t.Errorf("got %v, %v", part, err)
				}
				told := trail(t, cp, "backup.fetch")
				denied := 0
				for _, e := range told {
					if e.Outcome == "denied" && e.Actor == "user:olga" {
						denied++
					}
				}
				if denied != 1 {
					t.Errorf("the trail: %+v", told)
				}
			})
		}
	}
}

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

// A spare invite from before somebody's rights grew made a device with the new ones,
// and so a second person, for whoever had kept it.
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
			if told := trail(t, cp, "invite.void"); len(told) != 1 || told[0].Actor != "user:owner" || told[0].Target != "user:olga" {
				t.Errorf("the trail: %+v", told)
			}
			if last := endOfTrail(t, cp, "identity.enroll"); last.Outcome != "denied" || last.Target != "user:olga" || !strings.Contains(last.Detail, "void") {
				t.Errorf("the trail ends with %+v", last)
			}
			deviceOf(t, olga) // who she is goes on
		})
	}
}

// Nor is an invite good for a second person that was made before a policy asked for
// one: the new device waits, for anybody but who made its invite.
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
	// Who could approve of nothing waits for nobody.
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

// Who is revoked leaves no invites behind whose words they know.
func TestInvitesOfWhoIsRevokedAreVoid(t *testing.T) {
	cp, _, _, bob := twoOwners(t)
	left := inviteFrom(t, bob, "vera", fleet.RoleViewer)
	revokeUser(t, cp, "bob")
	if err := tryEnrolling(t, cp, filepath.Join(t.TempDir(), "left"), left); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "void") {
		t.Errorf("got %v", err)
	}
}
