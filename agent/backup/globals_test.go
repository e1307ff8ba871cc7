package backup_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// configOn returns a config on a server of its own, with the store of another.
func configOn(t *testing.T, server *postgrestest.Server, like *backup.Config, environ ...string) *backup.Config {
	t.Helper()
	settings, err := postgres.SettingsFrom(append(server.Environ(), environ...))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := instance.Close(); err != nil {
			t.Error(err)
		}
	})
	config := *like
	config.Instance = instance
	return &config
}

// crew are roles of all kinds.
const crew = `CREATE ROLE "the captain" LOGIN PASSWORD 'aye; aye ''' CREATEDB VALID UNTIL '2040-01-01' CONNECTION LIMIT 7;
	CREATE ROLE sailors NOLOGIN;
	CREATE ROLE "bo'sun ""B"" \ ü" LOGIN IN ROLE sailors;
	GRANT sailors TO "the captain" WITH ADMIN OPTION;
	CREATE ROLE admiral SUPERUSER LOGIN;
	CREATE ROLE radio REPLICATION BYPASSRLS;
	GRANT pg_execute_server_program, pg_read_all_stats TO radio;
	CREATE ROLE stowaway IN ROLE admiral;
	ALTER ROLE "the captain" SET work_mem = '64MB';
	ALTER ROLE "the captain" SET role = 'sailors';
	ALTER ROLE "the captain" SET search_path = "$user", harbour, "odd, name";
	COMMENT ON ROLE sailors IS E'they; sail\n-- far';
	CREATE ROLE there LOGIN;
	CREATE ROLE stranger LOGIN;
	CREATE ROLE clerk LOGIN IN ROLE sailors;
	CREATE ROLE pgharbor_restore_old;`

// harbourSettings are what a database has beside its content.
const harbourSettings = `ALTER DATABASE harbour OWNER TO "the captain";
	ALTER DATABASE harbour CONNECTION LIMIT 42;
	COMMENT ON DATABASE harbour IS 'where ships lie; ''really''';
	ALTER DATABASE harbour SET search_path = public, "odd, name";
	ALTER DATABASE harbour SET app.secret = E'rose\nbud';
	ALTER DATABASE harbour SET default_transaction_read_only = on;
	ALTER ROLE sailors IN DATABASE harbour SET statement_timeout = '3s';
	REVOKE ALL ON DATABASE harbour FROM PUBLIC;
	GRANT CONNECT ON DATABASE harbour TO sailors WITH GRANT OPTION;
	SET ROLE sailors; GRANT CONNECT ON DATABASE harbour TO admiral WITH GRANT OPTION; SET ROLE admiral; GRANT CONNECT ON DATABASE harbour TO "the captain"; RESET ROLE;
	GRANT TEMPORARY ON DATABASE harbour TO PUBLIC, radio, stowaway, "bo'sun ""B"" \ ü", there;`

// manned starts a server with a crew and a database, and backs that up.
func manned(t *testing.T, prepare func(*backup.Config)) (*postgrestest.Server, *backup.Config, backup.Manifest) {
	t.Helper()
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", crew)
	server.CreateDatabase(t, "harbour")
	server.Exec(t, "harbour", `CREATE TABLE ships (id int); ALTER TABLE ships OWNER TO sailors; INSERT INTO ships VALUES (1)`)
	server.Exec(t, "postgres", harbourSettings)
	config := configOn(t, server, newConfig(t))
	prepare(config)
	return server, config, backUp(t, config, "harbour")
}

// rolesOf describes the roles of a server that a restore made, one a line.
const rolesOf = `SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
		rolpassword, rolvaliduntil, shobj_description(a.oid, 'pg_authid'),
		(SELECT setconfig FROM pg_db_role_setting WHERE setrole = a.oid AND setdatabase = 0),
		ARRAY(SELECT roleid::regrole || CASE WHEN admin_option THEN '*' ELSE '' END FROM pg_auth_members WHERE member = a.oid ORDER BY 1)
	FROM pg_authid a WHERE rolname !~ '^pg_' AND rolname <> 'postgres' ORDER BY 1`

const settingsOf = `SELECT datdba::regrole, datconnlimit, shobj_description(oid, 'pg_database'),
		ARRAY(SELECT unnest(datacl)::text ORDER BY 1),
		ARRAY(SELECT setrole::regrole || ':' || setconfig::text FROM pg_db_role_setting WHERE setdatabase = d.oid ORDER BY 1)
	FROM pg_database d WHERE datname = `

func TestRolesAndSettingsComeBackOnAnotherInstance(t *testing.T) {
	server, config, manifest := manned(t, func(e *backup.Config) {
		e.Compression, e.Keys.Passphrases.Current = backup.CompressionZstd, "secret"
	})
	want := []string{"admiral", `bo'sun "B" \ ü`, "clerk", "pgharbor_restore_old", "postgres", "radio", "sailors", "stowaway", "stranger", "the captain", "there"}
	got := slices.Sorted(slices.Values(manifest.Globals.Roles))
	if diff := cmp.Diff(want, got); diff != "" || !manifest.Globals.Passwords {
		t.Errorf("passwords %v, roles (-want +got):\n%s", manifest.Globals.Passwords, diff)
	}
	for _, roles := range []string{backup.RolesMissing, backup.RolesSuperuser} {
		other := postgrestest.Start(t)
		other.Exec(t, "postgres", "CREATE ROLE there NOLOGIN CREATEDB")
		there := configOn(t, other, config)
		lacks, err := restoreLacking(t, there, manifest, "again", roles)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lacking(roles), lacks); diff != "" {
			t.Errorf("%s: left out (-want +got):\n%s", roles, diff)
		}
		before, after := server.Query(t, "postgres", rolesOf), other.Query(t, "postgres", rolesOf)
		if diff := cmp.Diff(expected(before, roles), after); diff != "" {
			t.Errorf("%s: roles (-before +after):\n%s", roles, diff)
		}
		before, after = server.Query(t, "postgres", settingsOf+"'harbour'"), other.Query(t, "postgres", settingsOf+"'again'")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: settings (-before +after):\n%s", roles, diff)
		}
	}
}

// expected are the roles as a restore is to make them: those that the database needs.
func expected(rows [][]string, roles string) [][]string {
	rows = slices.DeleteFunc(rows, func(row []string) bool {
		return slices.Contains([]string{"stranger", "clerk", "pgharbor_restore_old"}, row[0])
	})
	for _, row := range rows {
		if row[0] == "there" { // it existed, and is not touched
			row[4], row[5] = "t", "f"
		}
		if roles == backup.RolesMissing {
			row[1], row[6], row[7] = "f", "f", "f"
			switch row[0] {
			case "the captain":
				row[4] = "f" // CREATEDB
			case "radio":
				row[13] = "{}"
			case "stowaway":
				row[13] = "{admiral}" // who is no superuser there
			}
		}
	}
	return rows
}

// lacking is what the crew lacks on another instance.
func lacking(roles string) []string {
	const clerk = `left out: the role "clerk" is not made: it is a member of one that the database needs, and the database does not name it`
	if roles == backup.RolesSuperuser {
		return []string{clerk}
	}
	return []string{
		`left out: the role "admiral" does not get the attribute SUPERUSER`,
		clerk,
		`left out: the role "radio" does not become a member of "pg_execute_server_program", which the restore did not make`,
		`left out: the role "radio" does not become a member of "pg_read_all_stats", which the restore did not make`,
		`left out: the role "radio" does not get the attribute BYPASSRLS`,
		`left out: the role "radio" does not get the attribute REPLICATION`,
		`left out: the role "the captain" does not get the attribute CREATEDB`,
	}
}

// restoreWith restores what is to come back with nothing left out but of roles.
func restoreWith(t *testing.T, config *backup.Config, manifest backup.Manifest, target, roles string) error {
	t.Helper()
	lacks, err := restoreLacking(t, config, manifest, target, roles)
	for _, what := range lacks {
		if !strings.HasPrefix(what, "left out: the role ") {
			t.Error(what)
		}
	}
	return err
}

// restoreLacking restores, and returns what was left out, in order.
func restoreLacking(t *testing.T, config *backup.Config, manifest backup.Manifest, target, roles string) (lacks []string, err error) {
	t.Helper()
	stored, err := backup.New(*config).Repository.Find(manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, Target: target, RestoreID: "globals", WithRoles: roles,
		OnWarning: func(text string) { lacks = append(lacks, text) },
	})
	slices.Sort(lacks)
	return lacks, err
}

// A role that is there already and has more than an owner needs is not given to new ones.
func TestNoRoleBecomesASuperuserUnasked(t *testing.T) {
	_, config, manifest := manned(t, func(*backup.Config) {})
	other := postgrestest.Start(t)
	other.Exec(t, "postgres", "CREATE ROLE admiral SUPERUSER")
	if err := restoreWith(t, configOn(t, other, config), manifest, "again", backup.RolesMissing); err != nil {
		t.Fatal(err)
	}
	if got := other.Value(t, "postgres", "SELECT pg_has_role('stowaway', 'admiral', 'MEMBER')"); got != "f" {
		t.Error("the stowaway is a superuser's member")
	}
}

// Roles that a restore made go with it when it fails.
func TestAFailedRestoreLeavesNoRoles(t *testing.T) {
	_, config, manifest := manned(t, func(*backup.Config) {})
	other := postgrestest.Start(t)
	there := configOn(t, other, config, stub(t, "psql", "[ \"$1\" = --version ] && exec "+other.Bin+"/psql \"$@\"\nexit 1"))
	err := backup.New(*there).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(folderOf(there).Path(find(t, there, manifest).Location)), Manifest: &manifest, Target: "again", RestoreID: "globals",
		WithRoles: backup.RolesMissing, TrustContent: true, // which is loaded by psql
	})
	if err == nil {
		t.Fatal("it did not fail")
	}
	if got := other.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname !~ '^pg_'"); got != "1" {
		t.Errorf("%s roles, want that of the superuser alone", got)
	}
}

// Without pgharbor: openssl opens the companion, and psql makes of it what it describes.
func TestStockToolsOpenTheGlobals(t *testing.T) {
	server, config, manifest := manned(t, func(e *backup.Config) { e.Keys.Passphrases.Current = "secret" })
	other := postgrestest.Start(t)
	other.Exec(t, "postgres", "CREATE DATABASE harbour")
	open := exec.CommandContext(t.Context(), "sh", "-c", `openssl enc -d -aes-256-cbc -pbkdf2 -pass env:P -in "$1" | "$2/psql" -X -q -d "$3"`,
		"-", folderOf(config).Path(find(t, config, manifest).Location)+".globals", other.Bin, other.URL("postgres"))
	open.Env = append(os.Environ(), "P=secret")
	if output, err := open.CombinedOutput(); err != nil || strings.Count(string(output), "ERROR") > 1 { // of the role postgres, which exists
		t.Fatalf("%v\n%s", err, output)
	}
	if diff := cmp.Diff(server.Query(t, "postgres", rolesOf), other.Query(t, "postgres", rolesOf)); diff != "" {
		t.Errorf("roles (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(server.Query(t, "postgres", settingsOf+"'harbour'"), other.Query(t, "postgres", settingsOf+"'harbour'")); diff != "" {
		t.Errorf("settings (-before +after):\n%s", diff)
	}
}

func find(t *testing.T, config *backup.Config, manifest backup.Manifest) backup.Stored {
	t.Helper()
	stored, err := backup.New(*config).Repository.Find(manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// pg_dumpall's exit status does not say that all of it arrived. A backup keeps the globals whole or not at all.
func TestGlobalsAreKeptWholeOrNotAtAll(t *testing.T) {
	sample(t, "harbour")
	real := postgrestest.Shared(t).Bin + `/pg_dumpall "$@"`
	for name, script := range map[string]string{
		"exits 0 with a part":     real + " | head -c 400",
		"exits 0 without its end": real + " | grep -v 'cluster dump complete'",
		"exits 0 with nothing":    "exit 0",
		"exits 1 after all of it": real + "; exit 1",
		"says that it failed":     real + "; echo 'pg_dumpall: error: lost it' >&2",
		"goes on after its end":   real + "; echo 'DROP ROLE x;'",
		"kills itself":            "kill -9 $$",
	} {
		t.Run(name, func(t *testing.T) {
			config := newConfig(t, stub(t, "pg_dumpall", "[ \"$1\" = --version ] && exec "+real+"\n"+script))
			manifest := backUp(t, config, "harbour")
			if manifest.Globals != nil || len(manifest.Warnings) != 1 || !strings.Contains(manifest.Warnings[0], "roles") {
				t.Errorf("globals %+v, warnings %q", manifest.Globals, manifest.Warnings)
			}
			if left := files(t, config); len(left) != 2 {
				t.Errorf("files = %q", left)
			}
			if err := restoreWith(t, config, manifest, "harbour2", backup.RolesMissing); err == nil {
				t.Error("roles that are not kept were made")
			}
		})
	}
}

// A role that may not read passwords keeps the rest.
func TestGlobalsWithoutPasswords(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE keeper LOGIN CREATEDB PASSWORD 'seen by nobody'")
	server.Exec(t, "postgres", "CREATE DATABASE own OWNER keeper")
	config := configOn(t, server, newConfig(t), "PGUSER=keeper")
	manifest := backUp(t, config, "own")
	if manifest.Globals == nil || manifest.Globals.Passwords || !slices.Contains(manifest.Globals.Roles, "keeper") || len(manifest.Warnings) > 0 {
		t.Fatalf("globals %+v, warnings %q", manifest.Globals, manifest.Warnings)
	}
	content, err := os.ReadFile(filepath.Join(folderOf(config).Dir(), "own", manifest.Globals.Filename))
	if err != nil || strings.Contains(string(content), "SCRAM") {
		t.Errorf("passwords are in it, or %v", err)
	}
}

// The companion is a part of the backup: its loss or damage shows, and it goes with the backup.
func TestGlobalsBelongToTheBackup(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	manifest := backUp(t, config, "harbour")
	path := filepath.Join(folderOf(config).Dir(), "harbour", manifest.Globals.Filename)
	if damage, err := backup.New(*config).Repository.Scrub(t.Context(), find(t, config, manifest), nil); err != nil || damage != "" {
		t.Errorf("a whole one: %q, %v", damage, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if damage, err := backup.New(*config).Repository.Scrub(t.Context(), find(t, config, manifest), nil); err != nil || damage == "" {
		t.Errorf("a flipped bit: %q, %v", damage, err)
	}
	if err := restoreWith(t, config, manifest, "harbour2", backup.RolesMissing); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("roles of a damaged file: %v", err)
	}
	untouched(t, "harbour2")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if stored := find(t, config, manifest); stored.State != backup.StateDamaged {
		t.Errorf("without its companion it is %s", stored.State)
	}
	second := backUp(t, config, "harbour")
	if err := backup.New(*config).Repository.Remove(second.ID); err != nil {
		t.Fatal(err)
	}
	if err := backup.New(*config).Repository.Remove(manifest.ID); err != nil {
		t.Fatal(err)
	}
	if left := files(t, config); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}
