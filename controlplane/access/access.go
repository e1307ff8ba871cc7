// Package access says who may do what, and where, as two tables: which role has
// which permission, and which RPC needs what. It is pure. What no table names is
// refused.
package access

import (
	"slices"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// standing is whether a role has a permission.
type standing int

const (
	never   standing = iota // not even by a grant
	granted                 // only by a grant
	always
)

// byRole is the table of roles. A permission that a role's row leaves out is
// one that it never has.
var byRole = map[fleet.Role]map[fleet.Permission]standing{
	fleet.RoleOwner: {
		fleet.PermissionBackupList:     always,
		fleet.PermissionHealthRead:     always,
		fleet.PermissionBackupRun:      always,
		fleet.PermissionBackupVerify:   always,
		fleet.PermissionBackupDownload: always,
		fleet.PermissionBackupRestore:  always,
		fleet.PermissionBackupHold:     always,
		fleet.PermissionBackupExport:   always,
		fleet.PermissionAgentManage:    always,
		fleet.PermissionUserManage:     always,
		fleet.PermissionAuditRead:      always,
	},
	fleet.RoleOperator: {
		fleet.PermissionBackupList:    always,
		fleet.PermissionHealthRead:    always,
		fleet.PermissionBackupRun:     always,
		fleet.PermissionBackupVerify:  always,
		fleet.PermissionBackupRestore: granted,
		fleet.PermissionBackupHold:    granted,
		fleet.PermissionBackupExport:  granted,
	},
	fleet.RoleViewer: {
		fleet.PermissionBackupList: always,
		fleet.PermissionHealthRead: always,
	},
}

// fleetWide are the permissions that nobody has over a part of the fleet: with
// the first, a person could give themselves the rest of it.
var fleetWide = map[fleet.Permission]bool{
	fleet.PermissionUserManage: true,
	fleet.PermissionAuditRead:  true,
}

// Grantable reports whether a role may be given a permission that it does not
// have by itself.
func Grantable(role fleet.Role, p fleet.Permission) bool { return byRole[role][p] == granted }

// Named reports whether there is such a permission.
func Named(p fleet.Permission) bool { return byRole[fleet.RoleOwner][p] != never }

// Permissions returns all that a caller has somewhere, sorted.
func Permissions(c fleet.Caller) []fleet.Permission {
	var all []fleet.Permission
	for p := range byRole[c.Role] {
		if Has(c, p) {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all
}

// Has reports whether a caller has a permission on any part of the fleet.
func Has(c fleet.Caller, p fleet.Permission) bool {
	limits, has := limits(c, p)
	return has && (!fleetWide[p] || whole(limits))
}

// HasOn reports whether a caller has a permission on an instance.
func HasOn(c fleet.Caller, p fleet.Permission, instance string) bool {
	limits, has := limits(c, p)
	return has && (!fleetWide[p] || whole(limits)) && covers(limits, instance)
}

// HasEverywhere reports whether a caller has a permission on the whole fleet.
func HasEverywhere(c fleet.Caller, p fleet.Permission) bool {
	limits, has := limits(c, p)
	return has && whole(limits)
}

// limits returns whether a caller has a permission, by role or by a grant that
// the role may be given, and the scopes all of which hold it in. An agent has
// none.
func limits(c fleet.Caller, p fleet.Permission) ([]fleet.Scope, bool) {
	if c.Kind != fleet.CallerUser {
		return nil, false
	}
	switch byRole[c.Role][p] {
	case always:
		return []fleet.Scope{c.Instances}, true
	case granted:
		for _, grant := range c.Grants {
			if grant.Permission == p {
				return []fleet.Scope{c.Instances, grant.Instances}, true
			}
		}
	}
	return nil, false
}

func whole(limits []fleet.Scope) bool {
	return !slices.ContainsFunc(limits, func(s fleet.Scope) bool { return !s.Whole() })
}

func covers(limits []fleet.Scope, instance string) bool {
	return !slices.ContainsFunc(limits, func(s fleet.Scope) bool { return !s.Covers(instance) })
}
