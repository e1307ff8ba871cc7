package backup_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/scan"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// lineOf is what a look ahead says of one thing, with its result.
func lineOf(checks []backup.PreflightCheck, name string) string {
	for _, check := range checks {
		if check.Name == name {
			return check.Result + " " + check.String()
		}
	}
	return ""
}

// What an agent that is no superuser may not do is told before anything is done, and no more is asked of it than the restore takes.
func TestPreviewForetellsWhatARoleMayNotDo(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE app; CREATE ROLE reader; CREATE ROLE agent LOGIN CREATEDB")
	server.CreateDatabase(t, "shop")
	server.Exec(t, "shop", `CREATE SCHEMA s AUTHORIZATION app; SET ROLE app; CREATE TABLE s.goods (n int CHECK (n > 0));
		ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO reader; RESET ROLE; CREATE EXTENSION citext`)
	stored := newConfig(t, server.Environ()...)
	manifest := backUp(t, stored, "shop")
	agent := newConfig(t, append(server.Environ(), "PGUSER=agent")...)
	look := func(change func(*backup.RestoreRequest, *scan.Needs)) []backup.PreflightCheck {
		m, needs := manifest, *manifest.Needs
		m.Needs = &needs
		request := backup.RestoreRequest{From: local.File(filepath.Join(folderOf(stored).Dir(), "shop", manifest.Filename)), Manifest: &m, Target: "again"}
		if change != nil {
			change(&request, &needs)
		}
		return backup.New(*agent).Restorer.Preview(t.Context(), request)
	}
	for _, step := range []struct {
		does   string // a superuser, before
		name   string // of the line
		want   string
		change func(*backup.RestoreRequest, *scan.Needs)
	}{
		{"", "owners", `FAILED owners: the role "agent" is no member of app, and can give them no objects`, nil},
		{"", "owners", `WARN owners: the role "agent" is no member of app`, func(_ *backup.RestoreRequest, n *scan.Needs) { n.Members = nil }},
		{"", "owners", "OK", func(r *backup.RestoreRequest, _ *scan.Needs) { r.Sandboxed = true }},
		{"GRANT app TO agent", "owners", `WARN owners: the role "agent" lacks CREATEROLE`, nil},
		{"ALTER ROLE agent CREATEROLE; GRANT app TO agent WITH ADMIN OPTION", "owners", `OK owners: "agent" is a member of all 1`, nil},
		{"", "extensions", "OK", nil},
		{"", "extensions", "FAILED extensions: only a superuser can make the extensions dblink", func(_ *backup.RestoreRequest, n *scan.Needs) { n.Extensions = []string{"citext", "dblink"} }},
	} {
		if step.does != "" {
			server.Exec(t, "postgres", step.does)
		}
		if got := lineOf(look(step.change), step.name); !strings.HasPrefix(got, step.want) {
			t.Errorf("%q is said, and not %q", got, step.want)
		}
	}
}

// Roles that a restore is to make are foretold too: that they can't be made, or that nothing can be given to them.
func TestPreviewForetellsWhatOfRolesCantBeMade(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE gone; CREATE ROLE agent LOGIN CREATEDB")
	server.CreateDatabase(t, "shop")
	server.Exec(t, "shop", "CREATE SCHEMA s AUTHORIZATION gone")
	stored := newConfig(t, server.Environ()...)
	manifest := backUp(t, stored, "shop")
	server.DropDatabase(t, "shop")
	server.Exec(t, "postgres", "DROP ROLE gone")
	agent := newConfig(t, append(server.Environ(), "PGUSER=agent")...)
	request := backup.RestoreRequest{
		From: local.File(filepath.Join(folderOf(stored).Dir(), "shop", manifest.Filename)), Manifest: &manifest, Target: "again", WithRoles: backup.RolesMissing, RestoreID: "made",
	}
	if got := lineOf(backup.New(*agent).Restorer.Preview(t.Context(), request), "roles"); !strings.HasPrefix(got, `FAILED roles: the role "agent" lacks CREATEROLE to make the 1 that are missing`) {
		t.Error(got)
	}
	server.Exec(t, "postgres", "ALTER ROLE agent CREATEROLE")
	if got := lineOf(backup.New(*agent).Restorer.Preview(t.Context(), request), "roles"); !strings.Contains(got, "1 are missing, which --with-roles makes") {
		t.Error(got)
	}
	if got := lineOf(backup.New(*agent).Restorer.Preview(t.Context(), request), "owners"); !strings.HasPrefix(got, `FAILED owners: --with-roles makes gone, of which the role "agent" will be no member`) {
		t.Error(got)
	}
	err := backup.New(*agent).Restorer.Restore(t.Context(), request)
	if len(backup.FailedChecks(err)) == 0 || server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'gone'") != "0" {
		t.Errorf("the restore began: %v", err)
	}
}
