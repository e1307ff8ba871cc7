package access_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// roles is the table "Roles" of the interface, written by hand: yes, grant (only
// by one) or nothing, for OWNER, OPERATOR and VIEWER.
var roles = map[fleet.Permission][3]string{
	"backup.list":     {"yes", "yes", "yes"},
	"health.read":     {"yes", "yes", "yes"},
	"backup.run":      {"yes", "yes", ""},
	"backup.verify":   {"yes", "yes", ""},
	"backup.download": {"yes", "", ""},
	"backup.restore":  {"yes", "grant", ""},
	"backup.hold":     {"yes", "grant", ""},
	"backup.export":   {"yes", "grant", ""},
	"agent.manage":    {"yes", "", ""},
	"user.manage":     {"yes", "", ""},
	"audit.read":      {"yes", "", ""},
	"no.such":         {"", "", ""},
	"":                {"", "", ""},
}

func TestRoles(t *testing.T) {
	for permission, standings := range roles {
		for i, role := range []fleet.Role{"OWNER", "OPERATOR", "VIEWER"} {
			user := fleet.Caller{Kind: fleet.CallerUser, Name: "u", Role: role}
			if got := access.Has(user, permission); got != (standings[i] == "yes") {
				t.Errorf("%s has %q: %t", role, permission, got)
			}
			// Even if the catalog says that they were given everything.
			user.Grants = []fleet.Grant{{Permission: permission}}
			if got := access.Has(user, permission); got != (standings[i] != "") {
				t.Errorf("%s with a grant has %q: %t", role, permission, got)
			}
			if got := access.Grantable(role, permission); got != (standings[i] == "grant") {
				t.Errorf("%s may be given %q: %t", role, permission, got)
			}
		}
		for _, nobody := range []fleet.Caller{
			{}, {Kind: fleet.CallerUser}, {Kind: fleet.CallerUser, Role: "owner"}, {Kind: fleet.CallerAgent, Name: "db1"},
			{Kind: fleet.CallerAgent, Name: "db1", Role: fleet.RoleOwner, Grants: []fleet.Grant{{Permission: permission}}},
		} {
			if access.Has(nobody, permission) {
				t.Errorf("%+v has %q", nobody, permission)
			}
		}
	}
}

func TestPermissions(t *testing.T) {
	operator := fleet.Caller{Kind: fleet.CallerUser, Name: "olga", Role: fleet.RoleOperator, Grants: []fleet.Grant{{Permission: "backup.restore"}, {Permission: "backup.download"}}}
	want := []fleet.Permission{"backup.list", "backup.restore", "backup.run", "backup.verify", "health.read"}
	if diff := cmp.Diff(want, access.Permissions(operator)); diff != "" {
		t.Error(diff)
	}
	if got := access.Permissions(fleet.Caller{Kind: fleet.CallerAgent, Name: "db1"}); len(got) != 0 {
		t.Errorf("an agent has %v", got)
	}
}

func TestWhatNoTableNamesIsRefused(t *testing.T) {
	owner := &fleet.Caller{Kind: fleet.CallerUser, Name: "owner", Role: fleet.RoleOwner}
	for _, method := range []string{"", "/", "/pgharbor.v1.BackupService/DropAll", "pgharbor.v1.BackupService/ListBackups", "/PGHARBOR.v1.BackupService/ListBackups"} {
		if err := access.Allow(method, owner); !errors.Is(err, fleet.ErrDenied) {
			t.Errorf("%q: %v", method, err)
		}
		if err := access.Allow(method, nil); err == nil {
			t.Errorf("%q is open to strangers", method)
		}
	}
}

func TestOnlyEnrolmentIsOpenToStrangers(t *testing.T) {
	var open []string
	for _, method := range access.Methods() {
		switch err := access.Allow(method, nil); {
		case err == nil:
			open = append(open, method)
		case !errors.Is(err, fleet.ErrUnauthenticated):
			t.Errorf("%s: %v", method, err)
		}
	}
	if !slices.Equal(open, []string{"/pgharbor.v1.EnrollmentService/Enroll"}) {
		t.Errorf("open to strangers: %v", open)
	}
}

// Anyone who could be given the permission is told how.
func TestRefusalSaysWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		role fleet.Role
		hint string
	}{
		{fleet.RoleOperator, "an OWNER can give it: pgharbor users grant olga backup.restore"},
		{fleet.RoleViewer, "the role OPERATOR can have it"},
	} {
		err := access.Allow("/pgharbor.v1.RestoreService/CreateRestore", &fleet.Caller{Kind: fleet.CallerUser, Name: "olga", Role: tt.role})
		var problem *fleet.Problem
		if !errors.As(err, &problem) || !errors.Is(err, fleet.ErrDenied) || problem.Hint != tt.hint {
			t.Errorf("%s: %#v", tt.role, err)
		}
	}
}

// A person is told what they lack and who has it, and no path of an RPC.
func TestRefusalOfARoleIsInWords(t *testing.T) {
	vera := fleet.Caller{Kind: fleet.CallerUser, Name: "vera", Role: fleet.RoleViewer}
	for method, want := range map[string][2]string{
		"/pgharbor.v1.BackupService/StartBackup":    {"user:vera (VIEWER) does not have the permission backup.run", "the role OPERATOR can have it"},
		"/pgharbor.v1.UserService/CreateUserInvite": {"user:vera (VIEWER) does not have the permission user.manage", "the role OWNER can have it"},
		"/pgharbor.v1.RestoreService/CreateRestore": {"user:vera (VIEWER) does not have the permission backup.restore", "the role OPERATOR can have it"},
	} {
		var problem *fleet.Problem
		if err := access.Allow(method, &vera); !errors.As(err, &problem) || problem.Text != want[0] || problem.Hint != want[1] {
			t.Errorf("%s: %v, %+v", method, err, problem)
		}
	}
}
