package catalog_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// meanwhile is what happens to a person between the look at them and the change.
type meanwhile struct {
	happens func(*catalog.Catalog, fleet.Caller) error
	matters [2]bool // without an approval, and with one
}

func whatHappensMeanwhile(t *testing.T) map[string]meanwhile {
	part, hold := scope(t, "prod-*"), fleet.Grant{Permission: fleet.PermissionBackupHold}
	return map[string]meanwhile{
		"nothing": {func(*catalog.Catalog, fleet.Caller) error { return nil }, [2]bool{}},
		"a device more": {func(c *catalog.Catalog, _ fleet.Caller) error {
			enrol(t, c, fleet.CallerUser, "olga", fleet.RoleOperator)
			return nil
		}, [2]bool{false, true}},
		"another device": {func(c *catalog.Catalog, laptop fleet.Caller) error {
			enrol(t, c, fleet.CallerUser, "olga", fleet.RoleOperator)
			_, err := c.Devices.Revoke(t.Context(), "olga", laptop.Identity, "user:owner", now)
			return err
		}, [2]bool{false, true}},
		"a grant": {func(c *catalog.Catalog, _ fleet.Caller) error {
			return c.Users.Grant(t.Context(), "olga", nil, hold, "user:owner", now)
		}, [2]bool{true, true}},
		"a role": {func(c *catalog.Catalog, _ fleet.Caller) error {
			return c.Users.Change(t.Context(), "olga", fleet.UserChange{Role: fleet.RoleViewer}, "user:owner", now)
		}, [2]bool{true, true}},
		"a scope": {func(c *catalog.Catalog, _ fleet.Caller) error {
			return c.Users.Change(t.Context(), "olga", fleet.UserChange{Instances: &part}, "user:owner", now)
		}, [2]bool{true, true}},
		"a revocation": {func(c *catalog.Catalog, _ fleet.Caller) error {
			return c.Users.Revoke(t.Context(), "olga", now)
		}, [2]bool{true, true}},
	}
}

// Whom an approval has seen may be another by the time that it takes effect: with a
// device more, or with other rights. Then it takes none.
func TestRightsGrowForWhomTheyWereApprovedFor(t *testing.T) {
	restore := fleet.Grant{Permission: fleet.PermissionBackupRestore}
	changes := map[string]func(*catalog.Catalog, *fleet.Seen) error{
		"a grant": func(c *catalog.Catalog, seen *fleet.Seen) error {
			return c.Users.Grant(t.Context(), "olga", seen, restore, "user:owner", now)
		},
		"a role": func(c *catalog.Catalog, seen *fleet.Seen) error {
			return c.Users.Change(t.Context(), "olga", fleet.UserChange{Role: fleet.RoleOwner, Seen: seen}, "user:owner", now)
		},
	}
	for what, change := range changes {
		for while, m := range whatHappensMeanwhile(t) {
			for n, approved := range []bool{false, true} {
				c, _ := open(t)
				enrol(t, c, fleet.CallerUser, "owner", fleet.RoleOwner)
				laptop := enrol(t, c, fleet.CallerUser, "olga", fleet.RoleOperator)
				olga, err := c.Users.Get(t.Context(), "olga")
				if err != nil {
					t.Fatal(err)
				}
				if err := m.happens(c, laptop); err != nil {
					t.Fatal(err)
				}
				err = change(c, &fleet.Seen{Person: olga, Approved: approved, Devices: []string{laptop.Identity}})
				if (err != nil) != m.matters[n] || err != nil && !errors.Is(err, fleet.ErrConflict) {
					t.Errorf("%s, approved %t, and meanwhile %s: %v", what, approved, while, err)
				}
				after, err := c.Users.Get(t.Context(), "olga")
				if err != nil || m.matters[n] && (after.Role == fleet.RoleOwner || slices.ContainsFunc(after.Grants, func(g fleet.Grant) bool { return g.Permission == restore.Permission })) {
					t.Errorf("%s was refused, and she is %+v, %v", what, after, err)
				}
			}
		}
	}
}

// Anyone who was revoked has no rights that could grow: a person who is invited again would have
// them unseen.
func TestNobodyIsGrantedAnythingOnceRevoked(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerUser, "olga", fleet.RoleOperator)
	if err := c.Users.Revoke(t.Context(), "olga", now); err != nil {
		t.Fatal(err)
	}
	err := c.Users.Grant(t.Context(), "olga", nil, fleet.Grant{Permission: fleet.PermissionBackupRestore}, "user:owner", now)
	if !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("got %v", err)
	}
}
