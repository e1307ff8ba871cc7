package server_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// details are what anyone who decides on an approval is shown of the request.
func details(t *testing.T, conn *grpc.ClientConn, id string) map[string]string {
	t.Helper()
	shown, err := pgharborv1.NewApprovalServiceClient(conn).GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, d := range shown.GetApproval().GetDetails() {
		all[d.GetName()] = d.GetValue()
	}
	return all
}

// An approval of an invite is one of the rights that its person has: kept until they have more, it
// would make a second person out of the requester.
func TestSpareApprovalOfAnInviteIsWorthNothingOnceRightsGrow(t *testing.T) {
	cp, _, owner, bob := twoOwners(t)
	cp.User(t, "olga", fleet.RoleOperator)
	grant(t, cp, "olga", "backup.hold")
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
	users := pgharborv1.NewUserServiceClient(owner)
	invite := func() (string, error) {
		made, err := users.CreateUserInvite(bounded(t), &pgharborv1.CreateUserInviteRequest{Name: "olga", Role: "OPERATOR"})
		return made.GetInvite(), err
	}
	_, err := invite()
	spare := waitsFor(t, err)
	mustApprove(t, bob, spare)
	ask := &pgharborv1.GrantPermissionRequest{Name: "olga", Permission: "backup.restore"}
	_, err = users.GrantPermission(bounded(t), ask)
	grown := waitsFor(t, err)
	mustApprove(t, bob, grown)
	if got := details(t, bob, grown); got["rights before"] != "OPERATOR on the whole fleet, backup.hold" ||
		got["rights after"] != "OPERATOR on the whole fleet, backup.hold, backup.restore" {
		t.Errorf("who decides on the grant is shown %v", got)
	}
	if _, err = users.GrantPermission(bounded(t), ask); err != nil {
		t.Fatal(err)
	}
	_, err = invite()
	next := waitsFor(t, err)
	if next == spare {
		t.Fatal("the approval from before the grant is good after it")
	}
	want := map[string]string{
		"invite": "OPERATOR for 1h0m0s", "rights before": "OPERATOR on the whole fleet, backup.hold, backup.restore", "rights after": "OPERATOR on the whole fleet, backup.hold, backup.restore",
	}
	if diff := cmp.Diff(want, details(t, bob, next)); diff != "" {
		t.Errorf("who decides is shown: %s", diff)
	}
	mustApprove(t, bob, next)
	made, err := invite()
	if err != nil {
		t.Fatal(err)
	}
	if err := tryEnrolling(t, cp, filepath.Join(t.TempDir(), "approved"), made); err != nil {
		t.Errorf("approved: %v", err)
	}
}

// For how long an invite holds is part of what is approved, and nobody is asked to
// approve of one that can't be.
func TestInviteIsApprovedForAsLongAsItHolds(t *testing.T) {
	_, _, owner, bob := twoOwners(t)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
	invite := func(ttl *durationpb.Duration) error {
		_, err := pgharborv1.NewUserServiceClient(owner).CreateUserInvite(bounded(t), &pgharborv1.CreateUserInviteRequest{Name: "carl", Role: "OWNER", Ttl: ttl})
		return err
	}
	byDefault := waitsFor(t, invite(nil))
	if same := waitsFor(t, invite(durationpb.New(time.Hour))); same != byDefault {
		t.Errorf("an hour is another request than the default: %v, %v", details(t, bob, same), details(t, bob, byDefault))
	}
	if longer := waitsFor(t, invite(durationpb.New(2*time.Hour))); longer == byDefault {
		t.Error("two hours are the same request")
	}
	for _, ttl := range []time.Duration{0, -time.Hour, 8 * 24 * time.Hour} {
		if err := invite(durationpb.New(ttl)); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", ttl, err)
		}
	}
}
