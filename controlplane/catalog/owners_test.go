package catalog_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// others is somebody who is there besides the one OWNER.
type others struct {
	make func(c *catalog.Catalog)
	owns bool
}

func otherOwners(t *testing.T, part fleet.Scope) map[string]others {
	return map[string]others{
		"nobody":           {func(*catalog.Catalog) {}, false},
		"one only invited": {func(c *catalog.Catalog) { invite(t, c, fleet.CallerUser, "bert", fleet.RoleOwner) }, false},
		"one limited": {func(c *catalog.Catalog) {
			enrol(t, c, fleet.CallerUser, "bert", fleet.RoleOwner)
			if err := c.Users.Change(t.Context(), "bert", fleet.UserChange{Instances: &part}, "user:owner", now); err != nil {
				t.Fatal(err)
			}
		}, false},
		"one without devices": {func(c *catalog.Catalog) {
			bert := enrol(t, c, fleet.CallerUser, "bert", fleet.RoleOwner)
			if _, err := c.Devices.Revoke(t.Context(), "bert", bert.Identity, "user:owner", now); err != nil {
				t.Fatal(err)
			}
		}, false},
		"one revoked": {func(c *catalog.Catalog) {
			enrol(t, c, fleet.CallerUser, "bert", fleet.RoleOwner)
			if err := c.Users.Revoke(t.Context(), "bert", now); err != nil {
				t.Fatal(err)
			}
		}, false},
		"another OWNER": {func(c *catalog.Catalog) { enrol(t, c, fleet.CallerUser, "bert", fleet.RoleOwner) }, true},
	}
}

// Whatever would take the last OWNER away is refused, and only a person who could
// put things right again counts as one.
func TestLastOwnerStaysWhateverChanges(t *testing.T) {
	whole, part := fleet.Scope(nil), scope(t, "prod-*")
	changes := map[string]func(c *catalog.Catalog, anna fleet.Caller) error{
		"revoked": func(c *catalog.Catalog, _ fleet.Caller) error { return c.Users.Revoke(t.Context(), "anna", now) },
		"a VIEWER": func(c *catalog.Catalog, _ fleet.Caller) error {
			return c.Users.Change(t.Context(), "anna", fleet.UserChange{Role: "VIEWER"}, "user:owner", now)
		},
		"limited": func(c *catalog.Catalog, _ fleet.Caller) error {
			return c.Users.Change(t.Context(), "anna", fleet.UserChange{Instances: &part}, "user:owner", now)
		},
		"without devices": func(c *catalog.Catalog, anna fleet.Caller) error {
			_, err := c.Devices.Revoke(t.Context(), "anna", anna.Identity, "user:owner", now)
			return err
		},
	}
	for what, change := range changes {
		for who, other := range otherOwners(t, part) {
			t.Run(what+" beside "+who, func(t *testing.T) {
				c, _ := open(t)
				anna := enrol(t, c, fleet.CallerUser, "anna", fleet.RoleOwner)
				other.make(c)
				err := change(c, anna)
				if other.owns != (err == nil) || err != nil && !errors.Is(err, fleet.ErrConflict) {
					t.Errorf("got %v", err)
				}
				got, err := caller(t, c, anna)
				if !other.owns && (err != nil || got.Role != fleet.RoleOwner || !got.Instances.Whole()) {
					t.Errorf("what was refused has changed her: %+v, %v", got, err)
				}
			})
		}
	}
	// A second device of the same OWNER may go.
	c, _ := open(t)
	lost, kept := enrol(t, c, fleet.CallerUser, "anna", fleet.RoleOwner), enrol(t, c, fleet.CallerUser, "anna", fleet.RoleOwner)
	if _, err := c.Devices.Revoke(t.Context(), "anna", lost.Identity, "user:owner", now); err != nil {
		t.Error(err)
	}
	if _, err := c.Devices.Revoke(t.Context(), "anna", kept.Identity, "user:owner", now); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("the last one: %v", err)
	}
	if err := c.Users.Change(t.Context(), "anna", fleet.UserChange{Instances: &whole}, "user:owner", now); err != nil {
		t.Errorf("no change at all: %v", err)
	}
}

// Two OWNERs who limit each other at once leave one.
func TestOwnersThatLimitEachOther(t *testing.T) {
	c, _ := open(t)
	part := scope(t, "prod-*")
	for _, name := range []string{"anna", "bert"} {
		enrol(t, c, fleet.CallerUser, name, fleet.RoleOwner)
	}
	var limited atomic.Int32
	var wg sync.WaitGroup
	for _, name := range []string{"anna", "bert"} {
		wg.Go(func() {
			if err := c.Users.Change(t.Context(), name, fleet.UserChange{Instances: &part}, "user:owner", now); err == nil {
				limited.Add(1)
			} else if !errors.Is(err, fleet.ErrConflict) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	if n := limited.Load(); n != 1 {
		t.Errorf("%d of two owners were limited", n)
	}
}

func TestChangeOfRoleTakesGrantsBack(t *testing.T) {
	c, _ := open(t)
	olga := enrol(t, c, fleet.CallerUser, "olga", fleet.RoleOperator)
	if err := c.Users.Grant(t.Context(), "olga", nil, fleet.Grant{Permission: fleet.PermissionBackupRestore}, "user:owner", now); err != nil {
		t.Fatal(err)
	}
	part := scope(t, "prod-*")
	for _, tt := range []struct {
		change fleet.UserChange
		grants int
	}{
		{fleet.UserChange{Instances: &part}, 1}, {fleet.UserChange{Role: "OPERATOR"}, 1}, {fleet.UserChange{Role: "VIEWER"}, 0}, {fleet.UserChange{Role: "OPERATOR"}, 0},
	} {
		if err := c.Users.Change(t.Context(), "olga", tt.change, "user:owner", now); err != nil {
			t.Fatal(err)
		}
		if got, err := caller(t, c, olga); err != nil || len(got.Grants) != tt.grants {
			t.Errorf("after %+v: %+v, %v", tt.change, got, err)
		}
	}
	if err := c.Users.RevokeGrant(t.Context(), "olga", fleet.PermissionBackupRestore); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("a grant that is not there: %v", err)
	}
	if err := c.Users.Change(t.Context(), "nobody", fleet.UserChange{Role: "VIEWER"}, "user:owner", now); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

// A revoked person who is invited again as less does not get in by an invite from
// when more was meant.
func TestInviteOfAnotherRoleEndsWithTheNextOne(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerUser, "owner", fleet.RoleOwner)
	enrol(t, c, fleet.CallerUser, "eve", fleet.RoleViewer)
	if err := c.Users.Revoke(t.Context(), "eve", now); err != nil {
		t.Fatal(err)
	}
	first := invite(t, c, fleet.CallerUser, "eve", fleet.RoleViewer)
	second := invite(t, c, fleet.CallerUser, "eve", fleet.RoleOwner)
	eve := fleet.Caller{Kind: fleet.CallerUser, Name: "eve", Identity: fleet.NewID()}
	if err := redeem(t, c, first.SecretHash, eve, now.Add(time.Second)); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("the VIEWER's invite: %v", err)
	}
	if err := redeem(t, c, second.SecretHash, eve, now.Add(time.Second)); err != nil {
		t.Error(err)
	}
}

func TestDevices(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerUser, "owner", fleet.RoleOwner)
	laptop := fleet.Caller{Kind: fleet.CallerUser, Name: "olga", Identity: fleet.NewID(), Device: "laptop"}
	phone := fleet.Caller{Kind: fleet.CallerUser, Name: "olga", Identity: fleet.NewID(), Device: "phone"}
	for i, d := range []fleet.Caller{laptop, phone} {
		if err := redeem(t, c, invite(t, c, fleet.CallerUser, "olga", fleet.RoleViewer).SecretHash, d, now.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	// Seen twice, it has signed in for the first time once.
	for range 2 {
		if err := c.Devices.SignIn(t.Context(), phone, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	entries, _, err := c.AuditLog.List(t.Context(), catalog.AuditQuery{Action: "device.sign-in"})
	if err != nil || len(entries) != 1 || entries[0].Actor != "user:olga" || entries[0].Target != "device:"+phone.Identity || entries[0].Detail != "phone" {
		t.Errorf("the audit log has %+v, %v", entries, err)
	}
	if _, err := c.Devices.Revoke(t.Context(), "owner", phone.Identity, "user:owner", now); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("as another person's: %v", err)
	}
	revoked, err := c.Devices.Revoke(t.Context(), "olga", phone.Identity, "user:owner", now.Add(time.Hour))
	if err != nil || revoked.Name != "phone" || !revoked.RevokedAt.Equal(now.Add(time.Hour)) {
		t.Errorf("revoked %+v, %v", revoked, err)
	}
	if _, err := caller(t, c, phone); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("the phone: %v", err)
	}
	if _, err := caller(t, c, laptop); err != nil {
		t.Errorf("the laptop: %v", err)
	}
	devices, err := c.Devices.List(t.Context(), "olga")
	if err != nil || len(devices) != 2 || devices[0] != revoked || devices[1].Name != "laptop" || !devices[1].LastSeenAt.IsZero() {
		t.Errorf("devices %+v, %v", devices, err)
	}
	if u, err := c.Users.Get(t.Context(), "olga"); err != nil || u.Devices != 1 {
		t.Errorf("she is %+v, %v", u, err)
	}
	if _, err := c.Devices.List(t.Context(), "nobody"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

func TestRecoverOwner(t *testing.T) {
	c, path := open(t)
	enrol(t, c, fleet.CallerUser, "anna", fleet.RoleOwner)
	vera := enrol(t, c, fleet.CallerUser, "vera", fleet.RoleViewer)
	pending := invite(t, c, fleet.CallerUser, "bert", fleet.RoleViewer)
	enrol(t, c, fleet.CallerUser, "eve", fleet.RoleOperator)
	if err := c.Users.Revoke(t.Context(), "eve", now); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"anna": nil, "vera": fleet.ErrExists, "bert": nil, "eve": nil, "new": nil} {
		i := fleet.Invite{
			SecretHash: fleet.NewID(), Kind: fleet.CallerUser, Name: name, Role: fleet.RoleOwner, CreatedBy: "host", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		}
		if err := c.Invites.RecoverOwner(t.Context(), i); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		} else if want != nil {
			continue
		}
		who := fleet.Caller{Kind: fleet.CallerUser, Name: name, Identity: fleet.NewID()}
		if err := redeem(t, c, i.SecretHash, who, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := caller(t, c, who); err != nil || got.Role != fleet.RoleOwner || !got.Instances.Whole() {
			t.Errorf("%s is %+v, %v", name, got, err)
		}
	}
	if got, err := caller(t, c, vera); err != nil || got.Role != fleet.RoleViewer {
		t.Errorf("vera is %+v, %v", got, err)
	}
	if err := redeem(t, c, pending.SecretHash, fleet.Caller{Kind: fleet.CallerUser, Name: "bert", Identity: fleet.NewID()}, now); !errors.Is(err, fleet.ErrUnauthenticated) {
		t.Errorf("the VIEWER's invite of bert: %v", err)
	}

	// Beside a control plane of another release nothing is touched.
	others, err := catalog.OpenWhileServed(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := others.Close(); err != nil {
		t.Error(err)
	}
	if _, err := raw(t, path).ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.OpenWhileServed(t.Context(), path); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("with an earlier schema: %v", err)
	}
}
