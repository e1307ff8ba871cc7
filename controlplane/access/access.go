// Package access says who may do what, as two tables: which role has which
// permission, and which RPC needs what. It is pure. What no table names is
// refused.
package access

import (
	"slices"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// standing is how a role stands to a permission.
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
	},
	fleet.RoleViewer: {
		fleet.PermissionBackupList: always,
		fleet.PermissionHealthRead: always,
	},
}

// Grantable says whether a role may be given a permission that it does not
// have by itself.
func Grantable(role fleet.Role, p fleet.Permission) bool { return byRole[role][p] == granted }

// Permissions returns all that a caller has, sorted.
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

// Has says whether a caller has a permission, by role or by a grant that the
// role may be given. An agent has none.
func Has(c fleet.Caller, p fleet.Permission) bool {
	if c.Kind != fleet.CallerUser {
		return false
	}
	switch byRole[c.Role][p] {
	case always:
		return true
	case granted:
		return slices.Contains(c.Grants, p)
	default:
		return false
	}
}
