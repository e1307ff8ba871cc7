package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestPolicyThatMakesNoSenseIsRefused(t *testing.T) {
	_, _, owner, _ := twoOwners(t)
	policies := pgharborv1.NewPolicyServiceClient(owner)
	for name, request := range map[string]*pgharborv1.SetPolicyRequest{
		"no glob":       {RequireApproval: []string{"download"}},
		"no such glob":  {Glob: "prod/[1]", RequireApproval: []string{"download"}},
		"asks nothing":  {Glob: "*"},
		"no such thing": {Glob: "*", RequireApproval: []string{"everything"}},
		"no such cause": {Glob: "*", RequireReason: []string{"policy.loosen"}},
		"too short":     {Glob: "*", RequireApproval: []string{"download"}, ApprovalTtl: durationpb.New(time.Second)},
		"too long":      {Glob: "*", RequireApproval: []string{"download"}, ApprovalTtl: durationpb.New(365 * 24 * time.Hour)},
	} {
		if _, err := policies.SetPolicy(bounded(t), request); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := policies.RemovePolicy(bounded(t), &pgharborv1.RemovePolicyRequest{Glob: "*"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("removed what is not there: %v", err)
	}
}

// If one person is all there is, nobody could ever approve of anything.
func TestOnePersonCannotLockTheFleet(t *testing.T) {
	cp := servertest.Start(t)
	policies := pgharborv1.NewPolicyServiceClient(cp.Owner(t))
	request := &pgharborv1.SetPolicyRequest{Glob: "*", RequireApproval: []string{"replace"}}
	cp.User(t, "olga", fleet.RoleOperator) // and an OPERATOR is no second OWNER
	if _, err := policies.SetPolicy(bounded(t), request); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "another person") {
		t.Errorf("got %v", err)
	}
	if _, err := policies.SetPolicy(bounded(t), &pgharborv1.SetPolicyRequest{Glob: "*", RequireReason: []string{"download"}}); err != nil {
		t.Errorf("a reason takes nobody else: %v", err)
	}
	cp.User(t, "bob", fleet.RoleOwner)
	if _, err := policies.SetPolicy(bounded(t), request); err != nil {
		t.Error(err)
	}
}

// When all but one are gone, the control plane's host makes another.
func TestLastPersonIsNotLockedOut(t *testing.T) {
	cp, _, owner, _ := guarded(t)
	policies := pgharborv1.NewPolicyServiceClient(owner)
	remove := func() error {
		_, err := policies.RemovePolicy(bounded(t), &pgharborv1.RemovePolicyRequest{Glob: "prod-*"})
		return err
	}
	revokeUser(t, cp, "bob")
	err := remove()
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(fmt.Sprint(status.Convert(err).Details()), "recover-owner") {
		t.Fatalf("got %v, %v", err, status.Convert(err).Details())
	}
	made, err := recoverOwner(t, cp, "carl")
	if err != nil {
		t.Fatal(err)
	}
	if err := remove(); !strings.Contains(err.Error(), "there is none") {
		t.Errorf("one who has not logged in counts: %v", err)
	}
	carl := cp.Dial(t, cp.Enroll(t, cp.Here(t, made.Invite)))
	mustApprove(t, carl, waitsFor(t, remove()))
	if err := remove(); err != nil {
		t.Error(err)
	}
}

func TestPoliciesAddUp(t *testing.T) {
	clock := newHandClock()
	_, a, owner, _ := twoOwners(t, clock.into)
	backup := a.hasBackup(t, 4)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "*", RequireApproval: []string{"backup.download"}, ApprovalTtl: durationpb.New(2 * time.Hour)})
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireReason: []string{"download", "download"}})
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-1", RequireApproval: []string{"download"}, ApprovalTtl: durationpb.New(time.Minute)})
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "dev-*", RequireApproval: []string{"download"}, ApprovalTtl: durationpb.New(time.Minute)})

	err := tryDownload(t, owner, &pgharborv1.DownloadRequest{BackupId: backup, Reason: " "})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a reason: %v", err)
	}
	id := waitsFor(t, tryDownload(t, owner, &pgharborv1.DownloadRequest{BackupId: backup, Reason: "ticket 7"}))
	clock.advance(time.Minute)
	if state := stateOf(t, owner, id); state != "expired" {
		t.Errorf("after the shortest time that a policy allows, it is %s", state)
	}
	listed, err := pgharborv1.NewPolicyServiceClient(owner).ListPolicies(bounded(t), &pgharborv1.ListPoliciesRequest{})
	if err != nil || len(listed.GetPolicies()) != 4 || strings.Join(listed.GetPolicies()[2].GetRequireReason(), " ") != "backup.download" {
		t.Errorf("listed %v, %v", listed, err)
	}
}

// Anyone who is held by a policy does not lift it alone, not even for a moment.
func TestLoosenedPolicyWaitsForAnotherPerson(t *testing.T) {
	cp, _, owner, bob := twoOwners(t)
	policies := pgharborv1.NewPolicyServiceClient(owner)
	stands := func() *pgharborv1.SetPolicyRequest {
		return &pgharborv1.SetPolicyRequest{
			Glob: "prod-*", RequireApproval: []string{"download", "replace"}, RequireReason: []string{"download"}, ApprovalTtl: durationpb.New(time.Hour),
		}
	}
	setPolicy(t, owner, stands())
	for name, loosen := range map[string]func(*pgharborv1.SetPolicyRequest){
		"fewer approvals":   func(p *pgharborv1.SetPolicyRequest) { p.RequireApproval = p.RequireApproval[:1] },
		"other approvals":   func(p *pgharborv1.SetPolicyRequest) { p.RequireApproval = []string{"download", "release"} },
		"no approvals":      func(p *pgharborv1.SetPolicyRequest) { p.RequireApproval = nil },
		"fewer reasons":     func(p *pgharborv1.SetPolicyRequest) { p.RequireReason = nil },
		"a longer lifetime": func(p *pgharborv1.SetPolicyRequest) { p.ApprovalTtl = durationpb.New(2 * time.Hour) },
	} {
		request := stands()
		loosen(request)
		_, err := policies.SetPolicy(bounded(t), request)
		t.Logf("%s: %s", name, waitsFor(t, err))
	}
	// To ask for more is free, and so is what asks for no approvals.
	more := stands()
	more.RequireApproval, more.ApprovalTtl = append(more.RequireApproval, "release"), durationpb.New(time.Minute)
	setPolicy(t, owner, more)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "dev-*", RequireReason: []string{"download"}})
	if _, err := policies.RemovePolicy(bounded(t), &pgharborv1.RemovePolicyRequest{Glob: "dev-*"}); err != nil {
		t.Error(err)
	}

	remove := &pgharborv1.RemovePolicyRequest{Glob: "prod-*"}
	_, err := policies.RemovePolicy(bounded(t), remove)
	id := waitsFor(t, err)
	mustApprove(t, bob, id)
	// What was approved of is the removal of the policy of then, not of the one of now.
	evenMore := stands()
	evenMore.RequireApproval, evenMore.ApprovalTtl = []string{"download", "replace", "release", "retention"}, durationpb.New(time.Minute)
	setPolicy(t, owner, evenMore)
	_, err = policies.RemovePolicy(bounded(t), remove)
	next := waitsFor(t, err)
	if next == id {
		t.Fatal("an approval of something else was good for it")
	}
	mustApprove(t, bob, next)
	if _, err := policies.RemovePolicy(bounded(t), remove); err != nil {
		t.Error(err)
	}
	if all := auditLog(t, cp, "policy.remove"); len(all) != 4 || !strings.HasSuffix(all[3].Detail+all[2].Detail, "to nothing") {
		t.Errorf("the audit log: %+v", all)
	}
}

// A second person who is made for the purpose is none.
func TestWhoeverCouldApproveIsMadeByTwo(t *testing.T) {
	cp, _, owner, bob := twoOwners(t)
	cp.User(t, "olga", fleet.RoleOperator)
	cp.User(t, "vera", fleet.RoleViewer)
	users := pgharborv1.NewUserServiceClient(owner)
	invite := func(request *pgharborv1.CreateUserInviteRequest) func() error {
		return func() error { _, err := users.CreateUserInvite(bounded(t), request); return err }
	}
	set := func(request *pgharborv1.UpdateUserRequest) func() error {
		return func() error { _, err := users.UpdateUser(bounded(t), request); return err }
	}
	grant := func(request *pgharborv1.GrantPermissionRequest) func() error {
		return func() error { _, err := users.GrantPermission(bounded(t), request); return err }
	}
	scope := func(globs ...string) *pgharborv1.NewScope { return &pgharborv1.NewScope{Instances: globs} }

	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"release"}})
	for _, tt := range []struct {
		name  string
		call  func() error
		waits bool
	}{
		{"an OWNER", invite(&pgharborv1.CreateUserInviteRequest{Name: "eve", Role: "OWNER"}), true},
		{"an OWNER of some instances", invite(&pgharborv1.CreateUserInviteRequest{Name: "ewa", Role: "OWNER", Instances: []string{"prod-*"}}), true},
		{"a device more of an OWNER", invite(&pgharborv1.CreateUserInviteRequest{Name: "bob", Role: "OWNER"}), true},
		{"an OPERATOR", invite(&pgharborv1.CreateUserInviteRequest{Name: "otto", Role: "OPERATOR"}), false},
		{"a device more of an OPERATOR", invite(&pgharborv1.CreateUserInviteRequest{Name: "olga", Role: "OPERATOR"}), false},
		{"another role", set(&pgharborv1.UpdateUserRequest{Name: "vera", Role: "OWNER"}), true},
		{"a lesser role", set(&pgharborv1.UpdateUserRequest{Name: "vera", Role: "OPERATOR"}), false},
		{"a grant", grant(&pgharborv1.GrantPermissionRequest{Name: "olga", Permission: "backup.hold"}), true},
		{"a smaller scope", set(&pgharborv1.UpdateUserRequest{Name: "olga", Scope: scope("dev-*", "prod-*")}), false},
		{"a device more of who has a grant", invite(&pgharborv1.CreateUserInviteRequest{Name: "olga", Role: "OPERATOR", Instances: []string{"dev-*", "prod-*"}}), true},
		{"a wider scope", set(&pgharborv1.UpdateUserRequest{Name: "olga", Scope: scope()}), true},
		{"a smaller grant", grant(&pgharborv1.GrantPermissionRequest{Name: "olga", Permission: "backup.hold", Instances: []string{"prod-*"}}), false},
		{"a wider grant", grant(&pgharborv1.GrantPermissionRequest{Name: "olga", Permission: "backup.hold"}), true},
		{"the same grant", grant(&pgharborv1.GrantPermissionRequest{Name: "olga", Permission: "backup.hold"}), false},
		{"another grant", grant(&pgharborv1.GrantPermissionRequest{Name: "olga", Permission: "backup.restore"}), true},
		{"a third grant", grant(&pgharborv1.GrantPermissionRequest{Name: "olga", Permission: "backup.export"}), true},
	} {
		err := tt.call()
		if tt.waits == (err == nil) {
			t.Errorf("%s: waits %t: %v", tt.name, !tt.waits, err)
		}
		if err == nil {
			continue
		}
		mustApprove(t, bob, waitsFor(t, err))
		if err := tt.call(); err != nil {
			t.Errorf("%s, approved: %v", tt.name, err)
		}
	}
}

// Anyone who turns health blind does not do so alone, if a policy says so; whatever the pattern is
// that reaches the instance.
func TestThresholdsWaitForAnotherPerson(t *testing.T) {
	cp, _, owner, bob := twoOwners(t)
	thresholds := pgharborv1.NewHealthServiceClient(owner)
	set := func(pattern string) error {
		_, err := thresholds.SetThreshold(bounded(t), &pgharborv1.SetThresholdRequest{Threshold: &pgharborv1.Threshold{Pattern: pattern, Ignore: true}})
		return err
	}
	cp.InviteAgent(t, "prod-later")
	if err := set("prod-1/scratch"); err != nil {
		t.Fatalf("without a policy: %v", err)
	}
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"thresholds"}})
	for _, pattern := range []string{"prod-1/shop", "prod-*", "*", "*/shop", "prod-later/*"} {
		t.Logf("%s: %s", pattern, waitsFor(t, set(pattern)))
	}
	if err := set("dev-*/shop"); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
	id := waitsFor(t, set("*/shop"))
	shown, err := pgharborv1.NewApprovalServiceClient(bob).GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: id})
	if got := shown.GetApproval(); err != nil || got.GetAction() != "health.thresholds" || got.GetTarget() != "*/shop" || !strings.Contains(fmt.Sprint(got.GetDetails()), "Ignore:true") {
		t.Errorf("who decides is shown %v, %v", shown, err)
	}
	mustApprove(t, bob, id)
	if err := set("*/shop"); err != nil {
		t.Error(err)
	}
	remove := func(pattern string) error {
		_, err := thresholds.RemoveThreshold(bounded(t), &pgharborv1.RemoveThresholdRequest{Pattern: pattern})
		return err
	}
	waitsFor(t, remove("prod-1/scratch"))
	if err := remove("prod-2/none"); status.Code(err) != codes.NotFound {
		t.Errorf("of what is not there: %v", err)
	}
	if told := endOfAuditLog(t, cp, "threshold.set"); told.Outcome != "succeeded" || told.Target != "*/shop" {
		t.Errorf("the audit log ends with %+v", told)
	}
	_, err = pgharborv1.NewPolicyServiceClient(owner).SetPolicy(bounded(t), &pgharborv1.SetPolicyRequest{Glob: "x", RequireReason: []string{"thresholds"}})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a reason for thresholds: %v", err)
	}
}
