package server_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func openCatalog(t *testing.T, cp *servertest.ControlPlane) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(cp.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Anyone who edits an approved request has another one.
func TestEditedRequestIsNotTheOneThatWasApproved(t *testing.T) {
	cp, a, owner, bob := guarded(t)
	backup, other := a.hasBackup(t, 4), a.hasBackup(t, 4)
	approved := &pgharborv1.DownloadRequest{BackupId: backup, Reason: "ticket 7"}
	id := waitsFor(t, tryDownload(t, owner, approved))
	mustApprove(t, bob, id)
	for name, tt := range map[string]struct {
		conn    *grpc.ClientConn
		request *pgharborv1.DownloadRequest
	}{
		"another backup": {owner, &pgharborv1.DownloadRequest{BackupId: other, Reason: "ticket 7"}},
		"another reason": {owner, &pgharborv1.DownloadRequest{BackupId: backup, Reason: "ticket 8"}},
		"no reason":      {owner, &pgharborv1.DownloadRequest{BackupId: backup}},
		"another person": {bob, approved},
	} {
		if got := waitsFor(t, tryDownload(t, tt.conn, tt.request)); got == id {
			t.Errorf("%s: the approval was good for it", name)
		}
	}
	a.downloads(t, owner, approved, "good")
	if all := auditLog(t, cp, "approval.use"); len(all) != 2 {
		t.Errorf("the audit log: %+v", all)
	}
}

func TestWhoMayNotApprove(t *testing.T) {
	cp, a, owner, bob := twoOwners(t)
	oneself := cp.Dial(t, cp.Enroll(t, cp.InviteUser(t, servertest.OwnerName, fleet.RoleOwner))) // on another device
	olga, dora := cp.User(t, "olga", fleet.RoleOperator), cp.User(t, "dora", fleet.RoleOwner)
	_, err := pgharborv1.NewUserServiceClient(owner).UpdateUser(bounded(t), &pgharborv1.UpdateUserRequest{
		Name: "dora", Scope: &pgharborv1.NewScope{Instances: []string{"dev-*"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"download"}})
	id := waitsFor(t, tryDownload(t, owner, &pgharborv1.DownloadRequest{BackupId: a.hasBackup(t, 4)}))
	for name, tt := range map[string]struct {
		conn *grpc.ClientConn
		told codes.Code
	}{
		"who asked":                   {owner, codes.PermissionDenied},
		"another device of who asked": {oneself, codes.PermissionDenied},
		"an agent":                    {a.conn, codes.PermissionDenied},
		"without the permission":      {olga, codes.NotFound}, // it does not concern them, so they are not told of it
		"out of scope":                {dora, codes.NotFound},
	} {
		approvals := pgharborv1.NewApprovalServiceClient(tt.conn)
		if _, err := approvals.Approve(bounded(t), &pgharborv1.ApproveRequest{Id: id}); status.Code(err) != tt.told {
			t.Errorf("%s approves: %v", name, err)
		}
		if _, err := approvals.Deny(bounded(t), &pgharborv1.DenyRequest{Id: id}); status.Code(err) != tt.told {
			t.Errorf("%s denies: %v", name, err)
		}
	}
	if state := stateOf(t, bob, id); state != "pending" {
		t.Errorf("it is %s", state)
	}
	denied := 0
	for _, action := range []string{"approval.approve", "approval.deny", "ApprovalService/Approve", "ApprovalService/Deny"} {
		for _, e := range auditLog(t, cp, action) {
			if e.Outcome != "denied" {
				t.Errorf("the audit log: %+v", e)
			}
			denied++
		}
	}
	if denied != 10 {
		t.Errorf("%d of 10 denials are in the audit log", denied)
	}
}

func TestApprovalExpires(t *testing.T) {
	clock := newHandClock()
	cp, _, owner, bob := guarded(t, clock.into, func(c *server.Config) { c.Heartbeat = 10 * time.Millisecond })
	ask := func() error {
		_, err := pgharborv1.NewUserServiceClient(owner).CreateUserInvite(bounded(t), &pgharborv1.CreateUserInviteRequest{Name: "carl", Role: "OWNER"})
		return err
	}
	const nearly = fleet.DefaultApprovalTTL - time.Second

	// Nobody decided in time.
	first := waitsFor(t, ask())
	clock.advance(fleet.DefaultApprovalTTL)
	if err := approve(t, bob, first); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "expired") {
		t.Errorf("approved after its time: %v", err)
	}
	// Decided on just in time, its time for the use begins.
	second := waitsFor(t, ask())
	if second == first {
		t.Fatal("an expired approval waits on")
	}
	clock.advance(nearly)
	mustApprove(t, bob, second)
	clock.advance(nearly)
	if state := stateOf(t, bob, second); state != "approved" {
		t.Errorf("before its time is over, it is %s", state)
	}
	clock.advance(time.Second)
	third := waitsFor(t, ask())
	if third == second {
		t.Error("an expired approval was good")
	}
	// What nobody asks about again is closed by itself.
	clock.advance(fleet.DefaultApprovalTTL)
	expired := map[string]bool{}
	for ctx := bounded(t); len(expired) < 3 && ctx.Err() == nil; {
		for _, e := range auditLog(t, cp, "approval.expire") {
			if e.Actor != "controlplane" {
				t.Fatalf("the audit log: %+v", e)
			}
			if e.Outcome == "succeeded" {
				expired[e.Target] = true
			}
		}
	}
	for _, id := range []string{first, second, third} {
		if !expired[id] {
			t.Errorf("that %s has expired is not in the audit log: %v", id, expired)
		}
	}
}

func TestDenialIsFinal(t *testing.T) {
	cp, a, owner, bob := guarded(t)
	request := &pgharborv1.DownloadRequest{BackupId: a.hasBackup(t, 4), Reason: "curious"}
	id := waitsFor(t, tryDownload(t, owner, request))
	_, err := pgharborv1.NewApprovalServiceClient(bob).Deny(bounded(t), &pgharborv1.DenyRequest{Id: id, Comment: "what for?"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := tryDownload(t, owner, request)
		if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "bob denied this request") || !strings.Contains(err.Error(), "what for?") {
			t.Errorf("got %v", err)
		}
	}
	if err := approve(t, bob, id); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("approved after its denial: %v", err)
	}
	all := auditLog(t, cp, "backup.download")
	if len(all) != 2 || all[0].Outcome != "denied" || all[0].Actor != "user:owner" {
		t.Errorf("the audit log: %+v", all)
	}
}

// endings are what takes the right to decide away from somebody.
var endings = map[string]func(t *testing.T, users pgharborv1.UserServiceClient, person string) error{
	"revoked": func(t *testing.T, users pgharborv1.UserServiceClient, person string) error {
		_, err := users.RevokeUser(bounded(t), &pgharborv1.RevokeUserRequest{Name: person})
		return err
	},
	"demoted": func(t *testing.T, users pgharborv1.UserServiceClient, person string) error {
		_, err := users.UpdateUser(bounded(t), &pgharborv1.UpdateUserRequest{Name: person, Role: "OPERATOR"})
		return err
	},
	"out of scope": func(t *testing.T, users pgharborv1.UserServiceClient, person string) error {
		_, err := users.UpdateUser(bounded(t), &pgharborv1.UpdateUserRequest{Name: person, Scope: &pgharborv1.NewScope{Instances: []string{"dev-*"}}})
		return err
	},
	"device revoked": func(t *testing.T, users pgharborv1.UserServiceClient, person string) error {
		devices, err := users.ListUserDevices(bounded(t), &pgharborv1.ListUserDevicesRequest{Name: person})
		if err != nil {
			return err
		}
		_, err = users.RevokeUserDevice(bounded(t), &pgharborv1.RevokeUserDeviceRequest{Name: person, DeviceId: devices.GetDevices()[0].GetId()})
		return err
	},
}

// What somebody said no longer counts once they are revoked, or could no longer
// say it.
func TestApprovalRestsOnWhoStillMay(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			cp, a, owner, bob := twoOwners(t)
			cp.User(t, "carl", fleet.RoleOwner) // so that somebody is left who could decide
			setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"download"}})
			users := pgharborv1.NewUserServiceClient(owner)
			request := &pgharborv1.DownloadRequest{BackupId: a.hasBackup(t, 4)}
			asked := waitsFor(t, tryDownload(t, bob, request))
			given := waitsFor(t, tryDownload(t, owner, request))
			mustApprove(t, bob, given)
			if err := end(t, users, "bob"); err != nil {
				t.Fatal(err)
			}
			// It is shown so, before anybody tries.
			approvals := pgharborv1.NewApprovalServiceClient(owner)
			open, err := approvals.ListApprovals(bounded(t), &pgharborv1.ListApprovalsRequest{})
			shown, err2 := approvals.GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: asked})
			if err != nil || err2 != nil || len(open.GetApprovals()) != 0 || shown.GetApproval().GetState() != "void" {
				t.Errorf("%v, %v, %v, %v", open, err, shown, err2)
			}
			// Of who asked.
			if err := approve(t, owner, asked); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "void") {
				t.Errorf("approved for bob: %v", err)
			}
			// Of who approved.
			if next := waitsFor(t, tryDownload(t, owner, request)); next == given {
				t.Error("bob's approval was good")
			}
			for _, id := range []string{asked, given} {
				if state := stateOf(t, owner, id); state != "void" {
					t.Errorf("it is %s", state)
				}
			}
			if all := auditLog(t, cp, "approval.void"); len(all) != 4 || !strings.Contains(all[0].Detail, "bob") {
				t.Errorf("the audit log: %+v", all)
			}
		})
	}
}

// Nobody can bury the others in requests.
func TestWhatWaitsForOnePersonIsBounded(t *testing.T) {
	_, a, owner, bob := guarded(t)
	backup := a.hasBackup(t, 4)
	for i := range 20 {
		waitsFor(t, tryDownload(t, owner, &pgharborv1.DownloadRequest{BackupId: backup, Reason: fmt.Sprint(i)}))
	}
	err := tryDownload(t, owner, &pgharborv1.DownloadRequest{BackupId: backup, Reason: "one more"})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "20 requests of owner") {
		t.Errorf("got %v", err)
	}
	// Those of others go on, and so do the ones that are decided on.
	waitsFor(t, tryDownload(t, bob, &pgharborv1.DownloadRequest{BackupId: backup}))
	mustApprove(t, bob, waitsFor(t, tryDownload(t, owner, &pgharborv1.DownloadRequest{BackupId: backup, Reason: "3"})))
	waitsFor(t, tryDownload(t, owner, &pgharborv1.DownloadRequest{BackupId: backup, Reason: "one more"}))
}
