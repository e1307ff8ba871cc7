package fleet_test

import (
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func TestWhatAHostDenies(t *testing.T) {
	all := []string{"restore", "undo"}
	elsewhere := fleet.JobSpec{SourceInstance: "shop-db"}
	for name, test := range map[string]struct {
		policy *fleet.HostPolicy
		kind   fleet.JobKind
		spec   fleet.JobSpec
		says   string // empty: nothing
	}{
		"nothing known":      {nil, fleet.JobRestore, elsewhere, ""},
		"a policy in pieces": {&fleet.HostPolicy{Warning: "no such file"}, fleet.JobRestore, fleet.JobSpec{}, "can't be used"},
		"no such job":        {&fleet.HostPolicy{Jobs: []string{"backup"}}, fleet.JobRestore, fleet.JobSpec{}, "jobs has no restore"},
		"another instance":   {&fleet.HostPolicy{Jobs: all, RestoreFrom: []string{"prod-*"}}, fleet.JobRestore, elsewhere, `restore_from does not name "shop-db"`},
		"its glob":           {&fleet.HostPolicy{Jobs: all, RestoreFrom: []string{"shop-*"}}, fleet.JobRestore, elsewhere, ""},
		"unproven":           {&fleet.HostPolicy{Jobs: all, Unproven: true}, fleet.JobRestore, elsewhere, ""},
		"replacing":          {&fleet.HostPolicy{Jobs: all}, fleet.JobRestore, fleet.JobSpec{Replace: true}, "replace is false"},
		"undoing":            {&fleet.HostPolicy{Jobs: all}, fleet.JobUndo, fleet.JobSpec{}, "replace is false"},
		"superusers":         {&fleet.HostPolicy{Jobs: all}, fleet.JobRestore, fleet.JobSpec{WithRoles: fleet.RolesSuperuser}, "superuser_roles"},
		"roles":              {&fleet.HostPolicy{Jobs: all}, fleet.JobRestore, fleet.JobSpec{WithRoles: fleet.RolesMissing}, ""},
		"trust":              {&fleet.HostPolicy{Jobs: all}, fleet.JobRestore, fleet.JobSpec{TrustContent: true}, "trust_content"},
		"all of it":          {&fleet.HostPolicy{Jobs: all, Replace: true, TrustContent: true}, fleet.JobRestore, fleet.JobSpec{Replace: true, TrustContent: true}, ""},
	} {
		denies := test.policy.Denies(fleet.Job{Kind: test.kind, Spec: test.spec})
		if !strings.Contains(denies, test.says) || (denies == "") != (test.says == "") {
			t.Errorf("%s: %q", name, denies)
		}
	}
}
