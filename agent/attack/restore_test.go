package attack_test

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// weapons are what mallory has ready in her database: spring notes, with the name of a trap, whether it runs as a superuser,
// and tries to write what is bob's. The others call it from where only immutable functions may stand.
const weapons = `CREATE SCHEMA hers;
	CREATE FUNCTION hers.spring(trap text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
		BEGIN EXECUTE format('ALTER ROLE mallory SET %I = %L', 'trap.' || trap, (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user));
		EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN EXECUTE 'CREATE OR REPLACE FUNCTION bobs.secret() RETURNS text LANGUAGE sql SECURITY DEFINER AS ''SELECT ''''hers''''::text'''; EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN EXECUTE 'INSERT INTO bobs.ledger VALUES (-1)'; EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN EXECUTE 'SET ROLE bob; CREATE TABLE bobs.planted (n int); RESET ROLE'; EXCEPTION WHEN OTHERS THEN NULL; END;
		RETURN true;
	END $$;
	CREATE FUNCTION hers.seize(trap text, n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring(trap); RETURN n; END $$;
	CREATE FUNCTION hers.fine(trap text, n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring(trap); RETURN true; END $$;`

// bobs is what another owner has in the same database.
const bobs = `CREATE SCHEMA bobs AUTHORIZATION bob; GRANT USAGE ON SCHEMA bobs TO mallory; SET ROLE bob;
	CREATE TABLE bobs.ledger (n int CHECK (n <> 0)); INSERT INTO bobs.ledger VALUES (1), (2); CREATE TABLE bobs.k (n int PRIMARY KEY); INSERT INTO bobs.k VALUES (1); GRANT REFERENCES ON bobs.k TO mallory;
	CREATE FUNCTION bobs.secret() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT ''bobs''::text';
	CREATE FUNCTION bobs.fixed() RETURNS text LANGUAGE sql AS 'SELECT ''bobs''::text';`

// Whatever an owner of a database puts into it, a restore of its signed backup runs none of it as a superuser and writes nothing
// of another owner, and all rows are back. Stock tools that load the same dump as a superuser run each of the traps as one.
func TestATenantGainsNothingByARestore(t *testing.T) {
	server := loadServer(t)
	as(t, server, "postgres", bobs)
	as(t, server, "mallory", weapons)
	for n, trap := range append(traps, lures...) {
		as(t, server, "mallory", trap.in(fmt.Sprintf("trap_%d", n)))
	}
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		forget(t, server)
		config := loadConfig(t, server, format)
		manifest := loadDump(t, config)
		if ran := sprung(t, server); len(ran) > 0 {
			t.Errorf("%s: the backup ran %v", format, ran)
		}
		server.Exec(t, "postgres", "REVOKE CREATE ON TABLESPACE shelf FROM mallory")
		if err := loadBackup(t, config, manifest, "guarded", false); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if got := server.Value(t, "guarded", "SELECT count(*) FROM pg_class JOIN pg_tablespace s ON s.oid = reltablespace WHERE spcname = 'shelf'"); got != "1" {
			t.Errorf("%s: %s tables are in a tablespace", format, got)
		}
		wantNoneAsSuperuser(t, server)
		untouchedBob(t, server)
		if diff := cmp.Diff(dumpOf(t, server, "mal"), dumpOf(t, server, "guarded")); diff != "" {
			t.Errorf("%s: pg_dump (-before +after):\n%s", format, diff)
		}
		server.DropDatabase(t, "guarded")
	}
	forget(t, server)
	stockRestore(t, server)
	ran := sprung(t, server)
	for n, trap := range traps {
		if ran[fmt.Sprintf("trap_%d", n)] != "true" {
			t.Errorf("stock tools do not run %s as a superuser: the trap is not live", trap.name)
		}
	}
}

// What belongs to a superuser and would run an owner's code as one is refused with its name, and loaded where somebody says so.
func TestASuperusersObjectsRunNoTenantsCode(t *testing.T) {
	server := loadServer(t)
	as(t, server, "mallory", weapons)
	for name, test := range map[string]struct{ sql, object string }{
		"an index":                              {"CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1); CREATE INDEX i ON public.t (hers.seize('super', a))", "CREATE INDEX i ON public.t"},
		"a materialized view":                   {"CREATE VIEW hers.v AS SELECT hers.spring('super'); ALTER VIEW hers.v OWNER TO mallory; CREATE MATERIALIZED VIEW public.m AS SELECT * FROM hers.v", "materialized view public.m"},
		"a materialized view of her partitions": {"CREATE TABLE hers.t (a int) PARTITION BY RANGE ((a + hers.seize('super', 1))); ALTER TABLE hers.t OWNER TO mallory; CREATE MATERIALIZED VIEW public.m AS SELECT * FROM hers.t", "materialized view public.m"},
		"a part of her table":                   {"CREATE TABLE hers.t (a int CHECK (hers.fine('super', a))) PARTITION BY RANGE (a); ALTER TABLE hers.t OWNER TO mallory; CREATE TABLE public.p PARTITION OF hers.t FOR VALUES FROM (0) TO (9); INSERT INTO hers.t VALUES (1)", "table"},
		"partitions":                            {"CREATE TABLE public.t (a int) PARTITION BY RANGE (hers.seize('super', a)); CREATE TABLE public.p PARTITION OF public.t FOR VALUES FROM (0) TO (9)", "CREATE TABLE public.t"},
		"a literal in a policy":                 {"CREATE DOMAIN hers.d AS int CHECK (hers.fine('super', VALUE)); ALTER DOMAIN hers.d OWNER TO mallory; CREATE TABLE public.t (a int); CREATE POLICY p ON public.t USING ('{1}'::hers.d[] IS NOT NULL)", "CREATE POLICY p ON public.t"},
	} {
		for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
			t.Run(name+" "+format, func(t *testing.T) {
				as(t, server, "postgres", test.sql)
				defer as(t, server, "postgres", "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP TABLE IF EXISTS hers.t; DROP VIEW IF EXISTS hers.v; DROP DOMAIN IF EXISTS hers.d CASCADE")
				config := loadConfig(t, server, format)
				manifest := loadDump(t, config)
				forget(t, server)
				err := loadBackup(t, config, manifest, "guarded", false)
				if !errors.Is(err, backup.ErrContent) || !strings.Contains(err.Error(), test.object) {
					t.Errorf("error = %v, want one that names %s", err, test.object)
				}
				wantNoneAsSuperuser(t, server)
				wantNoLogins(t, server)
				if err := loadBackup(t, config, manifest, "trusted", true); err != nil {
					t.Fatal(err)
				}
				server.DropDatabase(t, "trusted")
			})
		}
	}
}

// What belongs to a superuser and uses an owner's code in a place where that can run without rights is loaded so.
func TestASuperusersObjectsRunTenantsCodeWithoutRights(t *testing.T) {
	for name, sql := range map[string]string{
		"a check":                  "CREATE TABLE public.t (a int CHECK (hers.fine('super', a))); INSERT INTO public.t VALUES (1)",
		"a check that comes later": "CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1); ALTER TABLE public.t ADD CONSTRAINT c CHECK (a > 0 AND 'x'::hers.e IS NOT NULL) NOT VALID",
		"a column of her domain":   "CREATE TABLE public.t (a hers.d); INSERT INTO public.t VALUES (1)",
	} {
		t.Run(name, func(t *testing.T) {
			server := loadServer(t)
			as(t, server, "mallory", weapons+"CREATE TYPE hers.e AS ENUM ('x'); CREATE DOMAIN hers.d AS int CHECK (hers.fine('super', VALUE))")
			as(t, server, "postgres", sql)
			for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
				config := loadConfig(t, server, format)
				manifest := loadDump(t, config)
				forget(t, server)
				if err := loadBackup(t, config, manifest, "guarded", false); err != nil {
					t.Fatalf("%s: %v", format, err)
				}
				wantNoneAsSuperuser(t, server)
				wantNoLogins(t, server)
				if diff := cmp.Diff(dumpOf(t, server, "mal"), dumpOf(t, server, "guarded")); diff != "" {
					t.Errorf("%s: pg_dump (-before +after):\n%s", format, diff)
				}
				server.DropDatabase(t, "guarded")
			}
		})
	}
}

// wantNoneAsSuperuser wants none of the traps to have run as a superuser.
func wantNoneAsSuperuser(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	for name, superuser := range sprung(t, server) {
		if superuser == "true" {
			t.Errorf("%s ran as a superuser", name)
		}
	}
}

// wantNoLogins wants no role of a load to be left.
func wantNoLogins(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	if got := server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgharbor%'"); got != "0" {
		t.Errorf("%s roles are left", got)
	}
}

// loadServer is a server with mallory, bob, and the database mal that is hers.
func loadServer(t *testing.T, options ...postgrestest.Option) *postgrestest.Server {
	t.Helper()
	server := postgrestest.Start(t, append(options, postgrestest.WithSetting("allow_in_place_tablespaces", "on"))...)
	server.Exec(t, "postgres", "CREATE ROLE mallory LOGIN; CREATE ROLE bob")
	server.Exec(t, "postgres", "CREATE TABLESPACE shelf LOCATION ''")
	server.Exec(t, "postgres", "GRANT CREATE ON TABLESPACE shelf TO mallory")
	server.CreateDatabase(t, "mal")
	server.Exec(t, "postgres", "ALTER DATABASE mal OWNER TO mallory")
	return server
}

// as runs SQL in mal over a connection of a role's own.
func as(t *testing.T, server *postgrestest.Server, role, sql string) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), strings.Replace(server.URL("mal"), "user="+postgrestest.Superuser, "user="+role, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v\n%s", role, err, sql)
	}
}

// sprung are the traps that ran since forget, with whether a superuser ran them.
func sprung(t *testing.T, server *postgrestest.Server) map[string]string {
	t.Helper()
	ran := map[string]string{}
	for _, row := range server.Query(t, "postgres", `SELECT split_part(substr(setting, 6), '=', 1), split_part(setting, '=', 2)::boolean::text
		FROM pg_db_role_setting s, unnest(setconfig) AS setting WHERE setrole = 'mallory'::regrole AND setting LIKE 'trap.%'`) {
		ran[row[0]] = row[1]
	}
	return ran
}

func forget(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	server.Exec(t, "postgres", "ALTER ROLE mallory RESET ALL")
}

// untouchedBob wants everything of bob's to be as it was.
func untouchedBob(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	for sql, want := range untouched {
		if got := server.Value(t, "guarded", sql); got != want {
			t.Errorf("%s = %s, want %s", sql, got, want)
		}
	}
	wantNoLogins(t, server)
}

// stockRestore loads a dump as everybody does.
func stockRestore(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	server.CreateDatabase(t, "stock")
	load := exec.CommandContext(t.Context(), "sh", "-ec", `"$1"/pg_dump -d "$2" | "$1"/psql -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$3"`,
		"-", server.Bin, server.URL("mal"), server.URL("stock"))
	if output, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

// dumpOf is what pg_dump writes of a database, without what differs each time.
func dumpOf(t *testing.T, server *postgrestest.Server, database string) []string {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), filepath.Join(server.Bin, "pg_dump"), "-d", server.URL(database)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.Contains(line, "restrict ") })
}

func loadDump(t *testing.T, config *backup.Config) backup.Manifest {
	t.Helper()
	manifest, err := backup.New(*config).Dumper.Backup(t.Context(), backup.BackupRequest{RunID: "run", Database: "mal", Trigger: backup.TriggerManual})
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

// loadConfig is a config on a server, as the superuser of its agent.
func loadConfig(t *testing.T, server *postgrestest.Server, format string) *backup.Config {
	t.Helper()
	settings, err := postgres.SettingsFrom(server.Environ())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files, err := local.Open(filepath.Join(t.TempDir(), "backups"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(instance.Close(), files.Close()); err != nil {
			t.Error(err)
		}
	})
	return &backup.Config{Instance: instance, Store: files, InstanceName: "test", Format: format, Now: time.Now}
}

func loadBackup(t *testing.T, config *backup.Config, manifest backup.Manifest, target string, trust bool) error {
	t.Helper()
	stored, err := backup.New(*config).Repository.Find(manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	return backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, Target: target, RestoreID: "attack", TrustContent: trust,
	})
}

// Code of an owner that runs while rows are loaded can put a trigger on a table that is loaded later. That table is then refused,
// and no login is left.
func TestWhatRunsDuringALoadArmsNothing(t *testing.T) {
	server := loadServer(t)
	as(t, server, "mallory", weapons+`
		CREATE SCHEMA trap; CREATE TABLE trap.z (n int CHECK (hers.fine('z', n))); INSERT INTO trap.z VALUES (1);
		CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''armed''); RETURN new; END';
		CREATE FUNCTION trap.arm() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
			IF current_database() <> 'mal' AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgname = 'armed') THEN
				CREATE TRIGGER armed BEFORE INSERT ON trap.z FOR EACH ROW EXECUTE FUNCTION trap.fire();
				ALTER TABLE trap.z ENABLE ALWAYS TRIGGER armed;
			END IF; RETURN true; END $$;
		CREATE TABLE trap.a (n int CHECK (trap.arm())); INSERT INTO trap.a VALUES (1)`)
	config := loadConfig(t, server, postgres.FormatPlain)
	manifest := loadDump(t, config)
	forget(t, server)
	if err := loadBackup(t, config, manifest, "guarded", false); !errors.Is(err, backup.ErrContent) || !strings.Contains(err.Error(), "trap.z") {
		t.Errorf("the armed table: %v", err)
	}
	wantNoneAsSuperuser(t, server)
	if got := server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgharbor%' AND rolcanlogin"); got != "0" {
		t.Errorf("%s logins are left", got)
	}
}

// folderOf is the folder in which a config keeps its backups.
func folderOf(e *backup.Config) *local.Store { return e.Store.(*local.Store) }
