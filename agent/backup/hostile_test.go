package backup_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// dumpEnd makes a script one that ends as a dump does.
const dumpEnd = "\n\n--\n-- PostgreSQL database dump complete\n--\n\n"

// hostile is what somebody may hide in a dump. MARK stands for a file that must not come to be, and SERVERMARK for one
// that the server's user could make.
var hostile = map[string]string{
	"a command of psql":                     `\! touch MARK`,
	"in backticks":                          "\\set x `touch MARK`",
	"the result to a program":               `SELECT 1 \g |touch MARK`,
	"all output to a program":               `\o |touch MARK`,
	"a copy to a program of psql's":         "\\copy (SELECT 1) TO PROGRAM 'touch MARK'",
	"a file to be included":                 "\\copy (SELECT 1) TO PROGRAM 'echo \"\\\\! touch MARK\" > x.sql'\n\\i x.sql",
	"its conditions":                        "\\if `touch MARK; echo true`\n\\endif",
	"a copy to a program":                   `COPY (SELECT 1) TO PROGRAM 'touch SERVERMARK';`,
	"a copy from a program":                 `CREATE TABLE t (a text); COPY t FROM PROGRAM 'touch SERVERMARK; echo 1';`,
	"a copy to a file":                      `COPY (SELECT 1) TO 'SERVERMARK';`,
	"a large object to a file":              "SELECT lo_from_bytea(4711, 'x');\nSELECT lo_export(4711, 'SERVERMARK');",
	"in a block":                            `DO $x$ BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch SERVERMARK'''; END $x$;`,
	"after other roles":                     "SET ROLE NONE;\nRESET SESSION AUTHORIZATION;\nCOPY (SELECT 1) TO PROGRAM 'touch SERVERMARK';",
	"after the session's user":              "SET SESSION AUTHORIZATION DEFAULT;\nSET SESSION AUTHORIZATION postgres;\nCOPY (SELECT 1) TO PROGRAM 'touch SERVERMARK';",
	"in a function of an index":             "CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS $x$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch SERVERMARK'; RETURN 1; END $x$;\nCREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $x$ BEGIN PERFORM g(); RETURN 1; END $x$;\nCREATE TABLE t AS SELECT 1 AS a;\nCREATE INDEX ON t (f(a));",
	"in a function of a check":              "CREATE FUNCTION f(int) RETURNS bool LANGUAGE plpgsql AS $x$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch SERVERMARK'; RETURN true; END $x$;\nCREATE TABLE t (a int CHECK (f(a)));\nINSERT INTO t VALUES (1);",
	"a command in what looks like COPY":     "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;\nCOPY t FROM stdin;\n\\! touch MARK\n\\.\n",
	"a command in parentheses":              "SELECT (1;\nCOPY t FROM stdin;\n\\! touch MARK\n\\.\n",
	"a command in what looks like a string": "SET standard_conforming_strings = off;\nSELECT set_config('standard_conforming_strings', 'on', false);\nSELECT '\\';\n\\! touch MARK\n-- ';\n",
	"a role":                                "COMMIT;\nCREATE ROLE evil SUPERUSER;",
	"a database":                            "COMMIT;\nCREATE DATABASE evil;",
	"another database":                      "COMMIT;\nDROP DATABASE bystander;",
	"another session":                       "\\connect bystander\nDROP TABLE precious;",
	"another role":                          "COMMIT;\nALTER ROLE bystander SUPERUSER;",
	"a setting of the server":               "COMMIT;\nALTER SYSTEM SET log_min_messages = 'fatal';",
	"a setting of all roles":                "COMMIT;\nALTER ROLE ALL SET search_path = evil;",
	"rights to the server's files":          "GRANT pg_execute_server_program TO bystander;",
	"an owner who is somebody":              "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';\nALTER FUNCTION f() OWNER TO postgres;",
}

// victim is a server with something on it that could be hurt, and the marks that a dump can leave.
type victim struct {
	*postgrestest.Server
	folder string
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{Server: postgrestest.Start(t), folder: t.TempDir()}
	for dir := v.folder; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil { // the server is another user where the test is root
			t.Fatal(err)
		}
	}
	v.Exec(t, "postgres", "CREATE ROLE bystander")
	v.heal(t)
	return v
}

// heal undoes whatever one of the hostile has done.
func (v *victim) heal(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(v.folder + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for _, database := range v.Databases(t) {
		if database != "postgres" && database != "bystander" {
			v.DropDatabase(t, database)
		}
	}
	for _, row := range v.Query(t, "postgres", "SELECT rolname FROM pg_roles WHERE rolname LIKE 'pgharbor%' OR rolname = 'evil'") {
		v.Exec(t, "postgres", `DROP ROLE "`+row[0]+`"`)
	}
	for _, sql := range []string{
		"ALTER ROLE bystander NOSUPERUSER", "REVOKE pg_execute_server_program FROM bystander", "ALTER ROLE ALL RESET ALL",
		"ALTER SYSTEM RESET ALL",
	} {
		v.Exec(t, "postgres", sql)
	}
	if !slices.Contains(v.Databases(t), "bystander") {
		v.Exec(t, "postgres", "CREATE DATABASE bystander")
	}
	v.Exec(t, "bystander", "CREATE TABLE IF NOT EXISTS precious ()")
}

// script puts the victim's paths into a hostile one.
func (v *victim) script(text string) []byte {
	text = strings.NewReplacer("SERVERMARK", v.folder+"/server", "MARK", v.folder+"/mark").Replace(text)
	return []byte("SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n" + text + dumpEnd)
}

// state is all that a dump has no business with.
func (v *victim) state(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(v.folder + "/*")
	if err != nil {
		t.Fatal(err)
	}
	state := strings.Join(files, "\n")
	for _, query := range []string{
		"SELECT datname FROM pg_database WHERE datname NOT LIKE 'victim%' ORDER BY 1",
		"SELECT rolname, rolsuper, rolcanlogin FROM pg_roles WHERE rolname NOT LIKE 'pgharbor%' ORDER BY 1",
		"SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE member::regrole::text NOT LIKE '%pgharbor%' ORDER BY 1, 2",
		"SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting WHERE setconfig <> '{pgharbor.origin=unknown}' ORDER BY 1, 2",
		"SELECT name, setting FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf' ORDER BY 1",
	} {
		for _, row := range v.Query(t, "postgres", query) {
			state += "\n" + strings.Join(row, " ")
		}
	}
	if slices.Contains(v.Databases(t), "bystander") {
		state += "\n" + v.Value(t, "bystander", "SELECT relname FROM pg_class WHERE relname = 'precious'")
	}
	return state
}

// config restores on the victim, from a working folder of its own.
func (v *victim) config(t *testing.T) *backup.Config { return newConfig(t, v.Environ()...) }

// powers of what stands in a restored database: functions that run as a superuser.
func (v *victim) powers(t *testing.T, database string) string {
	t.Helper()
	return v.Value(t, database, "SELECT count(*) FROM pg_proc p JOIN pg_roles r ON r.oid = proowner WHERE prosecdef AND rolsuper")
}

// Nothing that somebody hides in a dump leaves a mark outside of the new database. Stock psql, as everybody uses it, is hit
// by each of them: what does not hurt proves nothing.
func TestHostileDumps(t *testing.T) {
	v := newVictim(t)
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			v.heal(t)
			path := filepath.Join(t.TempDir(), "hostile.sql")
			if err := os.WriteFile(path, v.script(text), 0o600); err != nil {
				t.Fatal(err)
			}
			before := v.state(t)
			err := backup.New(*v.config(t)).Restorer.Restore(t.Context(), backup.RestoreRequest{From: local.File(path), Target: "victim", RestoreID: "hostile", Sandboxed: true})
			if after := v.state(t); after != before {
				t.Errorf("it left a mark (%v):\n%s\nbefore:\n%s", err, after, before)
			}
			if err == nil && v.powers(t, "victim") != "0" {
				t.Error("it left a function that runs as a superuser")
			}
			for _, database := range v.Databases(t) {
				if err != nil && strings.HasPrefix(database, "pgharbor") {
					t.Errorf("database %s is left", database)
				}
			}
			if n := v.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgharbor%' AND rolcanlogin"); n != "0" {
				t.Errorf("%s roles of the restore may log in", n)
			}

			v.Exec(t, "postgres", "CREATE DATABASE victim2")
			cmd := exec.CommandContext(t.Context(), "psql", "-d", "victim2", "-f", path)
			cmd.Env, cmd.Dir = append(os.Environ(), v.Environ()...), t.TempDir()
			output, _ := cmd.CombinedOutput() // it goes on after errors, and exits 0
			if v.state(t) == before && v.powers(t, "victim2") == "0" {
				t.Errorf("stock psql is not hit:\n%s", output)
			}
		})
	}
}

// An archive whose statements somebody has changed is as harmless as a script.
func TestAlteredArchives(t *testing.T) {
	tests := map[string]string{
		"a copy to a program":  `COPY (SELECT 1) TO PROGRAM 'touch SERVERMARK';`,
		"a superuser's rights": `RESET ROLE; RESET SESSION AUTHORIZATION; COPY (SELECT 1) TO PROGRAM 'touch SERVERMARK';`,
		"another transaction":  "COMMIT; CREATE ROLE evil SUPERUSER;",
	}
	v := newVictim(t)
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			v.heal(t)
			room := strings.Repeat("x", 2000)
			comment := "COMMENT ON TABLE public.ships IS '" + room + "';"
			v.Exec(t, "postgres", "CREATE DATABASE victim3")
			v.Exec(t, "victim3", "CREATE TABLE ships (); "+comment)
			v.Exec(t, "postgres", "CREATE DATABASE victim2")
			path := filepath.Join(t.TempDir(), "altered.dump")
			dump := exec.CommandContext(t.Context(), "pg_dump", "-Fc", "-f", path, "victim3")
			dump.Env = append(os.Environ(), v.Environ()...)
			if output, err := dump.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			archive, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = strings.NewReplacer("SERVERMARK", v.folder+"/server", "MARK", v.folder+"/mark").Replace(text)
			text += strings.Repeat(" ", len(comment)-len(text))
			altered := bytes.Replace(archive, []byte(comment), []byte(text), 1)
			if bytes.Equal(archive, altered) {
				t.Fatal("the statement is not in the archive")
			}
			if err := os.WriteFile(path, altered, 0o600); err != nil {
				t.Fatal(err)
			}
			before := v.state(t)
			err = backup.New(*v.config(t)).Restorer.Restore(t.Context(), backup.RestoreRequest{From: local.File(path), Target: "victim", RestoreID: "altered", Sandboxed: true})
			if err == nil {
				t.Error("it is restored")
			}
			if after := v.state(t); after != before {
				t.Errorf("it left a mark (%v):\n%s\nbefore:\n%s", err, after, before)
			}

			restore := exec.CommandContext(t.Context(), "sh", "-c", `pg_restore -d victim2 "$1"; pg_restore -f - "$1" | psql -d victim2`, "sh", path)
			restore.Env, restore.Dir = append(os.Environ(), v.Environ()...), t.TempDir()
			output, _ := restore.CombinedOutput()
			if v.state(t) == before {
				t.Errorf("stock pg_restore and psql are not hit:\n%s", output)
			}
		})
	}
}

// What is confined and harmless comes back whole, whoever its owners were, and belongs to a role that nobody can be.
func TestConfinedRestoreIsWhole(t *testing.T) {
	const owned = `CREATE ROLE confined_owner; ALTER TABLE ships OWNER TO confined_owner; GRANT SELECT ON ships TO confined_owner;
		CREATE SCHEMA "Ümlaut; OWNER TO x"; CREATE TABLE "Ümlaut; OWNER TO x".t (line text); ALTER TABLE "Ümlaut; OWNER TO x".t OWNER TO confined_owner;
		INSERT INTO "Ümlaut; OWNER TO x".t VALUES ('ALTER TABLE public.ships OWNER TO confined_owner;'), (E'\\! touch x');
		CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$
ALTER TABLE public.ships OWNER TO confined_owner;
SELECT 'a'::text $$;
		ALTER DEFAULT PRIVILEGES FOR ROLE confined_owner GRANT SELECT ON TABLES TO confined_owner;
		COMMENT ON EXTENSION plpgsql IS 'x'; SELECT lo_create(4711)`
	const content = `SELECT (SELECT md5(string_agg(s::text, ',' ORDER BY id)) FROM ships s) || (SELECT md5(string_agg(line, ',' ORDER BY line)) FROM "Ümlaut; OWNER TO x".t)
		|| (SELECT md5(prosrc) FROM pg_proc WHERE proname = 'f') || (SELECT count(*) FROM pg_largeobject_metadata)`
	for _, format := range []string{"plain", "custom"} {
		t.Run(format, func(t *testing.T) {
			server := sample(t, "harbour", "harbour2")
			server.Exec(t, "harbour", owned)
			config := newConfig(t)
			config.Format = format
			t.Cleanup(func() {
				server.DropDatabase(t, "harbour2")
				server.DropDatabase(t, "harbour")
				for _, row := range server.Query(t, "postgres", "SELECT rolname FROM pg_roles WHERE rolname LIKE 'pgharbor_restore%' OR rolname = 'confined_owner'") {
					server.Exec(t, "postgres", `DROP ROLE "`+row[0]+`"`)
				}
			})
			stored, err := backup.New(*config).Repository.Find(backUp(t, config, "harbour").ID)
			if err != nil {
				t.Fatal(err)
			}
			request := backup.RestoreRequest{
				From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, Target: "harbour2", RestoreID: "confined", Sandboxed: true,
			}
			if err := backup.New(*config).Restorer.Restore(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			if got, want := server.Value(t, "harbour2", content), server.Value(t, "harbour", content); got != want || got == "" {
				t.Errorf("the content is %s, want %s", got, want)
			}
			owner := server.Value(t, "harbour2", "SELECT DISTINCT relowner::regrole FROM pg_class WHERE relkind = 'r' AND oid > 16384")
			if owner != "pgharbor_restore_confined" {
				t.Errorf("the owner is %s", owner)
			}
			if may := server.Value(t, "postgres", "SELECT rolcanlogin OR rolsuper OR rolpassword IS NOT NULL FROM pg_authid WHERE rolname = '"+owner+"'"); may != "f" {
				t.Errorf("the owner may log in or has a password: %s", may)
			}
			// Once the database stands, cleaning up leaves its owner alone.
			if _, err := backup.New(*config).Restorer.CleanUp(t.Context(), "confined"); err != nil {
				t.Error(err)
			}
			request.Target, request.WithRoles = "harbour3", backup.RolesMissing
			if err := backup.New(*config).Restorer.Restore(t.Context(), request); !errors.Is(err, backup.ErrUnknownOrigin) {
				t.Errorf("roles of a file of unknown origin: %v", err)
			}
		})
	}
}
