package access_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// A permission reaches as far as the scope of the person and, if it is a grant, that of the grant.
func TestScopes(t *testing.T) {
	for _, tt := range []struct {
		what       string
		caller     fleet.Caller
		permission fleet.Permission
		has        bool
		on         string // the instances, of prod-1, prod-2 and stage-1
		everywhere bool
	}{
		{"a role", person("OPERATOR", nil), "backup.run", true, "prod-1 prod-2 stage-1", true},
		{"a role in a scope", person("OPERATOR", fleet.Scope{"prod-*"}), "backup.run", true, "prod-1 prod-2", false},
		{"a scope of two globs", person("OPERATOR", fleet.Scope{"prod-2", "st?ge-*"}), "backup.run", true, "prod-2 stage-1", false},
		{"a scope that nothing is in", person("OPERATOR", fleet.Scope{"away-*"}), "backup.run", true, "", false},
		{"no grant", person("OPERATOR", nil), "backup.restore", false, "", false},
		{"a grant", person("OPERATOR", nil, fleet.Grant{Permission: "backup.restore"}), "backup.restore", true, "prod-1 prod-2 stage-1", true},
		{"a grant in a scope", person("OPERATOR", nil, fleet.Grant{Permission: "backup.restore", Instances: fleet.Scope{"*-1"}}), "backup.restore", true, "prod-1 stage-1", false},
		{"a grant within a scope", person("OPERATOR", fleet.Scope{"prod-*"}, fleet.Grant{Permission: "backup.restore", Instances: fleet.Scope{"*-1"}}), "backup.restore", true, "prod-1", false},
		{"a grant beyond the scope", person("OPERATOR", fleet.Scope{"prod-*"}, fleet.Grant{Permission: "backup.restore", Instances: fleet.Scope{"stage-*"}}), "backup.restore", true, "", false},
		{"a grant that the role can't have", person("VIEWER", nil, fleet.Grant{Permission: "backup.restore"}), "backup.restore", false, "", false},
		{"an OWNER", person("OWNER", nil), "user.manage", true, "prod-1 prod-2 stage-1", true},
		{"an OWNER of a part", person("OWNER", fleet.Scope{"prod-*"}), "user.manage", false, "", false},
		{"an OWNER of a part, at the audit log", person("OWNER", fleet.Scope{"*"}), "audit.read", false, "", false},
		{"an OWNER of a part, at its agents", person("OWNER", fleet.Scope{"prod-*"}), "agent.manage", true, "prod-1 prod-2", false},
		{"an agent", fleet.Caller{Kind: fleet.CallerAgent, Name: "prod-1", Role: "OWNER"}, "backup.list", false, "", false},
	} {
		if got := access.Has(tt.caller, tt.permission); got != tt.has {
			t.Errorf("%s: has it %t", tt.what, got)
		}
		if got := access.HasEverywhere(tt.caller, tt.permission); got != tt.everywhere {
			t.Errorf("%s: has it everywhere %t", tt.what, got)
		}
		for _, instance := range []string{"prod-1", "prod-2", "stage-1"} {
			want := slices.Contains(strings.Fields(tt.on), instance)
			if got := access.HasOn(tt.caller, tt.permission, instance); got != want {
				t.Errorf("%s: has it on %s %t", tt.what, instance, got)
			}
		}
		// What concerns no instance concerns the whole fleet.
		if got := access.HasOn(tt.caller, tt.permission, ""); got != tt.everywhere {
			t.Errorf("%s: has it on what has no instance %t", tt.what, got)
		}
	}
}

func person(role fleet.Role, scope fleet.Scope, grants ...fleet.Grant) fleet.Caller {
	return fleet.Caller{Kind: fleet.CallerUser, Name: "p", Role: role, Instances: scope, Grants: grants}
}

// Every RPC says how a scope holds it, and what takes a permission that is of the whole fleet takes
// the whole fleet.
func TestEveryRuleSaysHowItIsScoped(t *testing.T) {
	for _, method := range access.Methods() {
		rule, _ := access.RuleFor(method)
		fleetWide := rule.Permission == "user.manage" || rule.Permission == "audit.read"
		if rule.Scoping.Kind == 0 || fleetWide && rule.Scoping.Kind != access.ByFleet {
			t.Errorf("%s is scoped by %v", method, rule.Scoping)
		}
		// A list shows what the person's own scope covers, which a grant's could narrow.
		for _, role := range []fleet.Role{"OWNER", "OPERATOR", "VIEWER"} {
			if rule.Scoping.Kind == access.ByFilter && access.Grantable(role, rule.Permission) {
				t.Errorf("%s lists by the scope of the person, and %s could have %s by a narrower grant", method, role, rule.Permission)
			}
		}
	}
}

func TestOutOfScopeIsDenied(t *testing.T) {
	part, whole := person("OWNER", fleet.Scope{"prod-*"}), person("OWNER", nil)
	for _, tt := range []struct {
		method    string
		instances []string
		part      bool
	}{
		{"/pgharbor.v1.BackupService/GetBackup", []string{"prod-1"}, true},
		{"/pgharbor.v1.BackupService/GetBackup", []string{"stage-1"}, false},
		{"/pgharbor.v1.BackupService/GetBackup", []string{"prod-1", "stage-1"}, false}, // as of a restore elsewhere
		{"/pgharbor.v1.BackupService/GetBackup", nil, false},                           // a request that names nothing may mean all
		{"/pgharbor.v1.BackupService/ListBackups", nil, true},
		{"/pgharbor.v1.BackupService/ListBackups", []string{"stage-1"}, false},
		{"/pgharbor.v1.UserService/ListUsers", nil, false},
		{"/pgharbor.v1.IdentityService/GetIdentity", nil, true},
		{"/pgharbor.v1.BackupService/DropAll", nil, false},
	} {
		if err := access.AllowOn(tt.method, part, tt.instances...); (err == nil) != tt.part || err != nil && !errors.Is(err, fleet.ErrDenied) {
			t.Errorf("%s on %v: %v", tt.method, tt.instances, err)
		}
		if err := access.AllowOn(tt.method, whole, tt.instances...); (err == nil) != (tt.method != "/pgharbor.v1.BackupService/DropAll") {
			t.Errorf("%s on %v with the whole fleet: %v", tt.method, tt.instances, err)
		}
	}
}

// A restore on another instance takes the permission for what leaves, where it leaves.
func TestEgressTakesAPermissionOfItsOwn(t *testing.T) {
	const method = "/pgharbor.v1.RestoreService/CreateRestore"
	restore := fleet.Grant{Permission: "backup.restore"}
	export := func(scope ...string) fleet.Grant { return fleet.Grant{Permission: "backup.export", Instances: scope} }
	for _, tt := range []struct {
		what      string
		caller    fleet.Caller
		instances []string // of the backup, and the target's
		may       bool
	}{
		{"an OWNER", person("OWNER", nil), []string{"prod-1", "dev-1"}, true},
		{"an OWNER of one of the two", person("OWNER", fleet.Scope{"prod-*"}), []string{"prod-1", "dev-1"}, false},
		{"who may restore", person("OPERATOR", nil, restore), []string{"prod-1", "dev-1"}, false},
		{"who may restore, at home", person("OPERATOR", nil, restore), []string{"prod-1"}, true},
		{"who may restore, at home by name", person("OPERATOR", nil, restore), []string{"prod-1", "prod-1"}, true},
		{"and let it leave", person("OPERATOR", nil, restore, export()), []string{"prod-1", "dev-1"}, true},
		{"and let it leave there", person("OPERATOR", nil, restore, export("prod-*")), []string{"prod-1", "dev-1"}, true},
		{"and let leave what is on the target", person("OPERATOR", nil, restore, export("dev-*")), []string{"prod-1", "dev-1"}, false},
		{"who may only let it leave", person("OPERATOR", nil, export()), []string{"prod-1", "dev-1"}, false},
	} {
		if err := access.AllowOn(method, tt.caller, tt.instances...); (err == nil) != tt.may || err != nil && !errors.Is(err, fleet.ErrDenied) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}
