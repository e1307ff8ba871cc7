package catalog_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func caller(t *testing.T, c *catalog.Catalog, who fleet.Caller) (fleet.Caller, error) {
	t.Helper()
	return c.Identities.Caller(t.Context(), who.Kind, who.Name, who.Identity)
}

// redeem uses an invite up over a key of this enrolment's own.
func redeem(t *testing.T, c *catalog.Catalog, secretHash string, who fleet.Caller, at time.Time) error {
	t.Helper()
	_, err := c.Invites.Redeem(t.Context(), catalog.Enrolment{SecretHash: secretHash, Caller: who, Key: "key of " + who.Identity, EndsAt: at.Add(time.Hour)}, at)
	return err
}

func TestInviteIsGoodOnceAndInTime(t *testing.T) {
	c, _ := open(t)
	i := invite(t, c, fleet.CallerUser, "vera", fleet.RoleViewer)
	vera := fleet.Caller{Kind: fleet.CallerUser, Name: "vera", Identity: fleet.NewID()}
	if _, err := caller(t, c, vera); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("before the invite was redeemed: %v", err)
	}
	if err := redeem(t, c, i.SecretHash, vera, i.ExpiresAt); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("too late: %v", err)
	}
	if err := redeem(t, c, "unknown", vera, now); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("unknown: %v", err)
	}
	if err := redeem(t, c, i.SecretHash, vera, i.ExpiresAt.Add(-time.Microsecond)); err != nil {
		t.Errorf("in time: %v", err)
	}
	second := vera
	second.Identity = fleet.NewID()
	if err := redeem(t, c, i.SecretHash, second, now); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("a second time: %v", err)
	}
	want := vera
	want.Role = fleet.RoleViewer
	if got, err := caller(t, c, vera); err != nil || !cmp.Equal(want, got) {
		t.Errorf("the caller is %+v, %v", got, err)
	}
	for _, wrong := range []fleet.Caller{
		second, {Kind: fleet.CallerAgent, Name: "vera", Identity: vera.Identity}, {Kind: fleet.CallerUser, Name: "owner", Identity: vera.Identity},
	} {
		if _, err := caller(t, c, wrong); !errors.Is(err, fleet.ErrUnauthenticated) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// A reply may have been lost: the key that won may come again.
func TestTheSameEnrolmentAgain(t *testing.T) {
	c, _ := open(t)
	i := invite(t, c, fleet.CallerAgent, "db1", "")
	attempt := func(key string, at time.Time) (string, error) {
		t.Helper()
		return c.Invites.Redeem(t.Context(), catalog.Enrolment{
			SecretHash: i.SecretHash, Caller: fleet.Caller{Kind: fleet.CallerAgent, Name: "db1", Identity: fleet.NewID()}, Key: key, EndsAt: at.Add(time.Hour),
		}, at)
	}
	first, err := attempt("key", now)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := attempt("key", now.Add(time.Minute)); err != nil || again != first {
		t.Errorf("the same key again is %q, %v; the first time %q", again, err, first)
	}
	if _, err := attempt("another key", now); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("another key: %v", err)
	}
	if _, err := attempt("key", i.ExpiresAt); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("the same key once the invite has expired: %v", err)
	}
	if err := c.Agents.Revoke(t.Context(), "db1", now); err != nil {
		t.Fatal(err)
	}
	if _, err := attempt("key", now.Add(-time.Minute)); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("the same key once revoked: %v", err)
	}
}

func TestRevokedUserIsNobodyUntilInvitedAgain(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerUser, "owner", fleet.RoleOwner)
	laptop, phone := enrol(t, c, fleet.CallerUser, "olga", fleet.RoleOperator), enrol(t, c, fleet.CallerUser, "olga", fleet.RoleOperator)
	if err := c.Users.Grant(t.Context(), "olga", nil, fleet.Grant{Permission: fleet.PermissionBackupRestore}, "user:owner", now); err != nil {
		t.Fatal(err)
	}
	pending := invite(t, c, fleet.CallerUser, "olga", fleet.RoleOperator)
	for _, device := range []fleet.Caller{laptop, phone} {
		if got, err := caller(t, c, device); err != nil || len(got.Grants) != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if err := c.Users.Revoke(t.Context(), "olga", now); err != nil {
		t.Fatal(err)
	}
	again := fleet.Caller{Kind: fleet.CallerUser, Name: "olga", Identity: fleet.NewID()}
	if err := redeem(t, c, pending.SecretHash, again, now); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("an invite from before: %v", err)
	}
	i := invite(t, c, fleet.CallerUser, "olga", fleet.RoleViewer) // she may come back as something else
	if err := redeem(t, c, i.SecretHash, again, now); err != nil {
		t.Fatal(err)
	}
	if got, err := caller(t, c, again); err != nil || got.Role != fleet.RoleViewer || len(got.Grants) != 0 {
		t.Errorf("again she is %+v, %v", got, err)
	}
	for _, device := range []fleet.Caller{laptop, phone} {
		if _, err := caller(t, c, device); !errors.Is(err, fleet.ErrUnauthenticated) {
			t.Errorf("a device from before: %v", err)
		}
	}
}

// An invite must not be a way to change somebody's role.
func TestInviteWithAnotherRoleIsRefused(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerUser, "vera", fleet.RoleViewer)
	err := c.Invites.Create(t.Context(), fleet.Invite{
		SecretHash: fleet.NewID(), Kind: fleet.CallerUser, Name: "vera", Role: fleet.RoleOwner, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	})
	if !errors.Is(err, fleet.ErrExists) {
		t.Errorf("got %v", err)
	}
	if u, err := c.Users.Get(t.Context(), "vera"); err != nil || u.Role != fleet.RoleViewer {
		t.Errorf("she is %+v, %v", u, err)
	}
}

func TestLastOwnerStays(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerUser, "anna", fleet.RoleOwner)
	invite(t, c, fleet.CallerUser, "bert", fleet.RoleOwner)
	if err := c.Users.Revoke(t.Context(), "anna", now); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("with an OWNER who never logged in: %v", err)
	}
	enrol(t, c, fleet.CallerUser, "carl", fleet.RoleOwner)
	// Both at once, they revoke each other: one of them stays.
	var revoked atomic.Int32
	var wg sync.WaitGroup
	for _, name := range []string{"anna", "carl"} {
		wg.Go(func() {
			switch err := c.Users.Revoke(t.Context(), name, now); {
			case err == nil:
				revoked.Add(1)
			case !errors.Is(err, fleet.ErrConflict):
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	if n := revoked.Load(); n != 1 {
		t.Errorf("%d of two owners were revoked", n)
	}
	if err := c.Users.Revoke(t.Context(), "nobody", now); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

func TestAgentHasOneEnrolment(t *testing.T) {
	c, _ := open(t)
	first := enrol(t, c, fleet.CallerAgent, "db1", "")
	if err := c.Agents.RecordStatus(t.Context(), "db1", "1.0", fleet.AgentStatus{Schedule: "0 1 * * *", KeepLast: 3, NextRunAt: now}, now); err != nil {
		t.Fatal(err)
	}
	second := enrol(t, c, fleet.CallerAgent, "db1", "")
	if _, err := caller(t, c, first); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("the first: %v", err)
	}
	if _, err := caller(t, c, second); err != nil {
		t.Errorf("the second: %v", err)
	}
	got, err := c.Agents.Get(t.Context(), "db1")
	if err != nil || got.Version != "1.0" || got.Status.KeepLast != 3 || !got.Status.NextRunAt.Equal(now) || !got.LastSeenAt.Equal(now) {
		t.Errorf("the agent is %+v, %v", got, err)
	}
	if err := c.Agents.Revoke(t.Context(), "db1", now); err != nil {
		t.Fatal(err)
	}
	if _, err := caller(t, c, second); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("after the revocation: %v", err)
	}
	if err := c.Agents.Revoke(t.Context(), "db2", now); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("an agent that is not there: %v", err)
	}
}

// Grants that come while an invite that was approved is made are none that it was
// approved for.
func TestInviteIsMadeForTheGrantsThatItWasApprovedFor(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerUser, "olga", fleet.RoleOperator)
	grants := []fleet.Grant{{Permission: fleet.PermissionBackupHold}, {Permission: fleet.PermissionBackupRestore, Instances: scope(t, "prod-*")}}
	for _, g := range grants {
		if err := c.Users.Grant(t.Context(), "olga", nil, g, "user:owner", now); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		approvedBy string
		of         []fleet.Grant
		want       error
	}{
		{"bob", grants, nil}, {"bob", grants[:1], fleet.ErrConflict}, {"bob", nil, fleet.ErrConflict}, {"", nil, nil},
		{"bob", []fleet.Grant{grants[0], {Permission: fleet.PermissionBackupRestore}}, fleet.ErrConflict},
	} {
		err := c.Invites.Create(t.Context(), fleet.Invite{
			SecretHash: fleet.NewID(), Kind: fleet.CallerUser, Name: "olga", Role: fleet.RoleOperator, CreatedBy: "user:owner", CreatedAt: now,
			ExpiresAt: now.Add(time.Hour), ApprovedBy: tt.approvedBy, Grants: tt.of,
		})
		if !errors.Is(err, tt.want) {
			t.Errorf("approved by %q of %v: %v", tt.approvedBy, tt.of, err)
		}
	}
}

// Nor is an invite kept whose maker was revoked, or got other rights, while they made
// it.
func TestInviteOfAMakerWhoMayNoLongerIsNotKept(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerUser, "owner", fleet.RoleOwner)
	bob, err := caller(t, c, enrol(t, c, fleet.CallerUser, "bob", fleet.RoleOwner))
	if err != nil {
		t.Fatal(err)
	}
	made := func() error {
		return c.Invites.Create(t.Context(), fleet.Invite{
			SecretHash: fleet.NewID(), Kind: fleet.CallerUser, Name: "zed", Role: fleet.RoleOwner, CreatedBy: bob.String(), Maker: bob,
			CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		})
	}
	if err := made(); err != nil {
		t.Fatalf("before: %v", err)
	}
	part := scope(t, "prod-*")
	for _, tt := range []struct {
		name   string
		change func() error
	}{
		{"a lesser scope", func() error {
			return c.Users.Change(t.Context(), "bob", fleet.UserChange{Instances: &part}, "user:owner", now)
		}},
		{"a lesser role", func() error {
			return c.Users.Change(t.Context(), "bob", fleet.UserChange{Role: fleet.RoleViewer, Instances: &fleet.Scope{}}, "user:owner", now)
		}},
		{"a device less", func() error {
			_, err := c.Devices.Revoke(t.Context(), "bob", bob.Identity, "user:owner", now)
			return err
		}},
	} {
		if err := c.Users.Change(t.Context(), "bob", fleet.UserChange{Role: fleet.RoleOwner, Instances: &fleet.Scope{}}, "user:owner", now); err != nil {
			t.Fatal(err)
		}
		if err := tt.change(); err != nil {
			t.Fatal(err)
		}
		if err := made(); !errors.Is(err, fleet.ErrConflict) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Of an invite from before its device was known, any device of its maker may be the
// one.
func TestInviteOfAnUnknownDeviceEndsWithAny(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerUser, "owner", fleet.RoleOwner)
	bob := enrol(t, c, fleet.CallerUser, "bob", fleet.RoleOwner)
	left := fleet.Invite{
		SecretHash: fleet.NewID(), Kind: fleet.CallerUser, Name: "zed", Role: fleet.RoleOwner, CreatedBy: bob.String(), CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if err := c.Invites.Create(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Devices.Revoke(t.Context(), "bob", bob.Identity, "user:owner", now); err != nil {
		t.Fatal(err)
	}
	zed := fleet.Caller{Kind: fleet.CallerUser, Name: "zed", Identity: fleet.NewID()}
	if err := redeem(t, c, left.SecretHash, zed, now); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("got %v", err)
	}
}
