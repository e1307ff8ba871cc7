package access_test

import (
	"errors"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func TestMayApprove(t *testing.T) {
	person := func(name string, role fleet.Role, scope fleet.Scope, grants ...fleet.Grant) fleet.Caller {
		return fleet.Caller{Kind: fleet.CallerUser, Name: name, Role: role, Instances: scope, Grants: grants}
	}
	replace := fleet.GuardedRequest{Action: fleet.ActionReplace, Instance: "prod-1", Requester: "ada"}
	loosen := fleet.GuardedRequest{Action: fleet.ActionLoosenPolicy, Target: "prod-*", Requester: "ada"}
	away := fleet.GuardedRequest{Action: fleet.ActionElsewhere, Instance: "dev-1", Source: "prod-1", Requester: "ada"}
	restore := fleet.Grant{Permission: fleet.PermissionBackupRestore}
	for _, tt := range []struct {
		name    string
		who     fleet.Caller
		request fleet.GuardedRequest
		may     bool
	}{
		{"another OWNER", person("bob", fleet.RoleOwner, nil), replace, true},
		{"who asked", person("ada", fleet.RoleOwner, nil), replace, false},
		{"an OWNER in scope", person("bob", fleet.RoleOwner, fleet.Scope{"prod-*"}), replace, true},
		{"an OWNER out of scope", person("bob", fleet.RoleOwner, fleet.Scope{"dev-*"}), replace, false},
		{"an OPERATOR by a grant", person("olga", fleet.RoleOperator, nil, restore), replace, true},
		{"an OPERATOR with another grant", person("olga", fleet.RoleOperator, nil, fleet.Grant{Permission: fleet.PermissionBackupHold}), replace, false},
		{"an OPERATOR whose grant is for elsewhere", person("olga", fleet.RoleOperator, nil,
			fleet.Grant{Permission: fleet.PermissionBackupRestore, Instances: fleet.Scope{"dev-*"}}), replace, false},
		{"a VIEWER with a grant", person("vera", fleet.RoleViewer, nil, restore), replace, false},
		{"an agent", fleet.Caller{Kind: fleet.CallerAgent, Name: "prod-1", Role: fleet.RoleOwner}, replace, false},
		{"elsewhere, an OWNER in scope of both", person("bob", fleet.RoleOwner, fleet.Scope{"dev-*", "prod-*"}), away, true},
		{"elsewhere, an OWNER of where it goes", person("bob", fleet.RoleOwner, fleet.Scope{"dev-*"}), away, false},
		{"elsewhere, an OWNER of what it leaves", person("bob", fleet.RoleOwner, fleet.Scope{"prod-*"}), away, false},
		{"elsewhere, an OPERATOR who may restore", person("olga", fleet.RoleOperator, nil, restore), away, false},
		{"elsewhere, an OPERATOR who may let it leave too", person("olga", fleet.RoleOperator, nil, restore,
			fleet.Grant{Permission: fleet.PermissionBackupExport, Instances: fleet.Scope{"prod-*"}}), away, true},
		{"of the policies, another OWNER", person("bob", fleet.RoleOwner, nil), loosen, true},
		{"of the policies, an OWNER of a part", person("bob", fleet.RoleOwner, fleet.Scope{"prod-*"}), loosen, false},
		{"of the policies, an OPERATOR by a grant", person("olga", fleet.RoleOperator, nil, restore), loosen, false},
	} {
		err := access.MayApprove(tt.who, tt.request)
		if (err == nil) != tt.may || err != nil && !errors.Is(err, fleet.ErrDenied) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
