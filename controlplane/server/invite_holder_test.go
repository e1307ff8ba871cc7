package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Anyone who holds an invite to an OWNER from before a policy asks in its maker's name for each
// device that they bring. A few of these wait; the maker has room for requests of their own, and
// the audit log has a few entries.
func TestHolderOfAnInviteLeavesItsMakerRoom(t *testing.T) {
	cp, _, owner, _ := twoOwners(t)
	invite, err := pki.ParseInvite(inviteFrom(t, owner, "zed", fleet.RoleOwner))
	if err != nil {
		t.Fatal(err)
	}
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	client := pgharborv1.NewEnrollmentServiceClient(dialWith(t, cp, nil))
	for n := range 40 {
		if _, err := client.Enroll(bounded(t), &pgharborv1.EnrollRequest{Secret: invite.Secret, Csr: csr, Device: fmt.Sprint("d", n)}); err == nil {
			t.Fatal("a device is let in that nobody approved of")
		}
	}
	if asked := len(auditLog(t, cp, "approval.ask")); asked > 20 { // three that wait, and the first refusals
		t.Errorf("%d entries", asked)
	}
	_, err = pgharborv1.NewUserServiceClient(owner).CreateUserInvite(bounded(t), &pgharborv1.CreateUserInviteRequest{Name: "yan", Role: "OWNER"})
	if err == nil || !strings.Contains(err.Error(), "approval") || strings.Contains(err.Error(), "as many as may") {
		t.Errorf("the maker's own request: %v", err)
	}
}
