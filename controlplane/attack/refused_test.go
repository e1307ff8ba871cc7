package attack_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// A VIEWER who revoked devices that there are not wrote two entries for each, forever, and so did
// one who revoked the same old device again and again.
func TestWhatIsNotThereToBeRevokedIsAFewEntries(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	vera := h.User(t, "vera", fleet.RoleViewer)
	phone := h.Dial(t, h.Enroll(t, h.InviteUser(t, "vera", fleet.RoleViewer)))
	own, owner := pgharborv1.NewIdentityServiceClient(vera), pgharborv1.NewIdentityServiceClient(h.owner)
	const times = 100
	revoke := func(id string) codes.Code {
		_, err := own.RevokeDevice(bounded(t), &pgharborv1.RevokeDeviceRequest{DeviceId: id})
		return status.Code(err)
	}
	others := current(t, owner)
	for _, id := range []string{others, fleet.NewID()} {
		if code := revoke(id); code != codes.NotFound {
			t.Fatalf("got %s", code)
		}
	}
	lost := current(t, pgharborv1.NewIdentityServiceClient(phone))
	for range times {
		if code := revoke(fleet.NewID()); code != codes.NotFound {
			t.Fatalf("a device that is not there: %s", code)
		}
		if code := revoke(lost); code != codes.OK {
			t.Fatalf("a device that is revoked already: %s", code)
		}
	}
	// Of what is refused the first of each kind, of the same again a few, before and after.
	if n := len(h.entries(t, "device.revoke", "user:vera")); n > 20 {
		t.Errorf("%d entries of %d calls", n, 2*times)
	}
	for range times {
		_, err := pgharborv1.NewAgentServiceClient(h.owner).RevokeAgent(bounded(t), &pgharborv1.RevokeAgentRequest{Name: "nobody"})
		if status.Code(err) != codes.NotFound {
			t.Fatalf("an agent that is not there: %v", err)
		}
		_, err = pgharborv1.NewUserServiceClient(h.owner).RevokeUser(bounded(t), &pgharborv1.RevokeUserRequest{Name: "nobody"})
		if status.Code(err) != codes.NotFound {
			t.Fatalf("somebody who is not there: %v", err)
		}
	}
	for _, action := range []string{"agent.revoke", "user.revoke"} {
		if n := len(h.entries(t, action, "user:owner")); n > 10 {
			t.Errorf("%s: %d entries of %d calls", action, n, times)
		}
	}
}

// current is the id of the device that asks.
func current(t *testing.T, who pgharborv1.IdentityServiceClient) string {
	t.Helper()
	list, err := who.ListDevices(bounded(t), &pgharborv1.ListDevicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, device := range list.GetDevices() {
		if device.GetCurrent() {
			return device.GetId()
		}
	}
	t.Fatal("no device is this one")
	return ""
}
