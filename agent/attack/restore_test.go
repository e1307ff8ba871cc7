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
	"github.com/pgharbor/pgharbor/agent/store"
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
	CREATE FUNCTION bobs.secret() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT ''bobs''::text';`

// trap is a place where a restore may run the code of a table's owner.
type trap struct{ name, sql string }

// traps spring where stock tools load them as a superuser.
var traps = []trap{
	{"a check", `CREATE TABLE here.t (a int CHECK (hers.fine('TRAP', a))); INSERT INTO here.t VALUES (1)`},
	{"a domain", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TABLE here.t (a here.d[], b int); INSERT INTO here.t VALUES ('{1}', 1)`},
	{"a domain in a type", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TYPE here.pair AS (n int, d here.d); CREATE TABLE here.t (a here.pair); INSERT INTO here.t VALUES ('(1,2)')`},
	{"a generated column", `CREATE TABLE here.t (a int, b int GENERATED ALWAYS AS (hers.seize('TRAP', a)) STORED); INSERT INTO here.t VALUES (1)`},
	{"a generated column that is constant", `CREATE TABLE here.t (a int, b int GENERATED ALWAYS AS (hers.seize('TRAP', 1)) STORED); INSERT INTO here.t VALUES (1)`},
	{"the constant part of partitions", `CREATE TABLE here.t (a int) PARTITION BY RANGE ((a + hers.seize('TRAP', 1))); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10); INSERT INTO here.t VALUES (1)`},
	{"a table in a tablespace", `SET default_tablespace = shelf; CREATE TABLE here.t (a int, b int GENERATED ALWAYS AS (hers.seize('TRAP', a)) STORED); INSERT INTO here.t VALUES (1)`},
	{"the condition of an index", `CREATE TABLE here.t (a int PRIMARY KEY); CREATE TABLE here.u (a int REFERENCES here.t); INSERT INTO here.t VALUES (1); INSERT INTO here.u VALUES (1);
		CREATE INDEX ON here.t (a) WHERE hers.fine('TRAP', 1); CREATE INDEX ON here.u (a) WHERE hers.fine('TRAP', 2)`},
	{"the condition of a part's index", `CREATE TABLE here.t (a int) PARTITION BY RANGE (a); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10);
		INSERT INTO here.t VALUES (1); CREATE INDEX ON here.t (a) WHERE hers.fine('TRAP', 1)`},
	{"the expression of partitions", `CREATE TABLE here.t (a int) PARTITION BY RANGE (hers.seize('TRAP', a)); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10); INSERT INTO here.t VALUES (1)`},
	{"the bound of a part", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TABLE here.t (a here.d) PARTITION BY LIST (a); CREATE TABLE here.p PARTITION OF here.t FOR VALUES IN (1); INSERT INTO here.t VALUES (1)`},
	{"the first value of an aggregate", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE FUNCTION here.next(here.d, int) RETURNS here.d LANGUAGE sql IMMUTABLE AS 'SELECT 1::here.d';
		CREATE AGGREGATE here.agg(int) (SFUNC = here.next, STYPE = here.d, INITCOND = '1')`},
	{"a cast for a foreign key", `CREATE TYPE here.e AS ENUM ('x'); CREATE FUNCTION here.ef(here.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring('TRAP'); RETURN 'x'; END $$;
		CREATE CAST (here.e AS text) WITH FUNCTION here.ef(here.e) AS IMPLICIT; CREATE TABLE here.t (a text PRIMARY KEY); CREATE TABLE here.u (a here.e REFERENCES here.t); INSERT INTO here.t VALUES ('x'); INSERT INTO here.u VALUES ('x')`},
}

// lures are places that PostgreSQL itself runs as the owner, or not at all.
var lures = []trap{
	{"the expression of an index", `CREATE TABLE here.t (a int); INSERT INTO here.t VALUES (1); CREATE INDEX ON here.t (hers.seize('TRAP', a))`},
	{"an exclusion", `CREATE TABLE here.t (a int, EXCLUDE USING btree (hers.seize('TRAP', a) WITH =)); INSERT INTO here.t VALUES (1)`},
	{"a materialized view", `CREATE MATERIALIZED VIEW here.m AS SELECT hers.spring('TRAP')`},
	{"statistics of an expression", `CREATE TABLE here.t (a int); INSERT INTO here.t SELECT generate_series(1, 100); CREATE STATISTICS here.s ON (hers.seize('TRAP', a)) FROM here.t`},
	{"a check that is not valid", `CREATE TABLE here.t (a int); INSERT INTO here.t VALUES (1); ALTER TABLE here.t ADD CONSTRAINT c CHECK (hers.fine('TRAP', a)) NOT VALID`},
	{"a trigger", `CREATE FUNCTION here.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''TRAP''); RETURN new; END'; CREATE TABLE here.t (a int); INSERT INTO here.t VALUES (1);
		CREATE TRIGGER t BEFORE INSERT ON here.t FOR EACH ROW EXECUTE FUNCTION here.fire(); ALTER TABLE here.t ENABLE ALWAYS TRIGGER t`},
	{"a default", `CREATE TABLE here.t (a int DEFAULT hers.seize('TRAP', 1), b int); INSERT INTO here.t (b) VALUES (1)`},
	{"a range type", `CREATE FUNCTION here.diff(float8, float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring('TRAP'); RETURN 1; END $$; CREATE TYPE here.r AS RANGE (subtype = float8, subtype_diff = here.diff); CREATE TABLE here.t (a here.r); INSERT INTO here.t VALUES ('[1,2)'); CREATE INDEX ON here.t USING gist (a)`},
	{"a range over a domain", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TYPE here.r AS RANGE (subtype = here.d); CREATE TABLE here.t (a here.r, b int); INSERT INTO here.t VALUES ('[1,2)', 1)`},
	{"a domain over a domain", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE DOMAIN here.e AS here.d; CREATE TABLE here.t (a here.e); INSERT INTO here.t VALUES (1)`},
	{"a policy", `CREATE TABLE here.t (a int); INSERT INTO here.t VALUES (1); ALTER TABLE here.t ENABLE ROW LEVEL SECURITY; ALTER TABLE here.t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON here.t USING (hers.fine('TRAP', 1)) WITH CHECK (hers.fine('TRAP', a))`},
	{"a view with a rule", `CREATE TABLE here.t (a int); INSERT INTO here.t VALUES (1); CREATE VIEW here.v AS SELECT hers.seize('TRAP', a) FROM here.t; CREATE RULE r AS ON INSERT TO here.t WHERE hers.fine('TRAP', 1) DO ALSO SELECT hers.spring('TRAP')`},
	{"cluster and replica identity", `CREATE TABLE here.t (a int NOT NULL, b int); INSERT INTO here.t VALUES (1, 1); CREATE UNIQUE INDEX i ON here.t (a); CREATE INDEX j ON here.t (hers.seize('TRAP', b)); ALTER TABLE here.t CLUSTER ON j; ALTER TABLE here.t REPLICA IDENTITY USING INDEX i`},
	{"an operator class", `CREATE FUNCTION here.lt(int, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring('TRAP'); RETURN true; END $$; CREATE OPERATOR here.<<< (LEFTARG = int, RIGHTARG = text, FUNCTION = here.lt); CREATE TABLE here.t (a int CHECK (a OPERATOR(here.<<<) 'x')); INSERT INTO here.t VALUES (1)`},
	{"names that confuse", `CREATE SCHEMA "TRAP; OWNER TO bob"; CREATE TABLE "TRAP; OWNER TO bob"."a b""c; ALTER TABLE x OWNER TO postgres; --
$$ 'q" (a int CHECK (hers.fine('TRAP', a)), "FROM stdin;" int GENERATED ALWAYS AS (hers.seize('TRAP', 1)) STORED); INSERT INTO "TRAP; OWNER TO bob"."a b""c; ALTER TABLE x OWNER TO postgres; --
$$ 'q" VALUES (1); CREATE FUNCTION "TRAP; OWNER TO bob"."f(integer)"(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION "TRAP; OWNER TO bob"."f(integer)"(int) FROM PUBLIC; GRANT EXECUTE ON FUNCTION "TRAP; OWNER TO bob"."f(integer)"(int) TO bob WITH GRANT OPTION`},
	{"a child of her parent", `CREATE TABLE here.p (a int CHECK (hers.fine('TRAP', a))); CREATE TABLE here.t (b int) INHERITS (here.p); INSERT INTO here.t VALUES (1, 2)`},
	{"identity and serial", `CREATE TABLE here.t (a int GENERATED ALWAYS AS IDENTITY, b serial CHECK (hers.fine('TRAP', b)), c int); INSERT INTO here.t (c) VALUES (1)`},
	{"a key to another owner", `CREATE TABLE here.t (a int REFERENCES bobs.k CHECK (hers.fine('TRAP', a))); INSERT INTO here.t VALUES (1)`},
	{"large objects", `SELECT lo_from_bytea(0, 'x'); COMMENT ON SCHEMA here IS 'x; ALTER ROLE mallory SUPERUSER; --'`},
	{"default privileges", `ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO bob; CREATE FUNCTION here.x() RETURNS int LANGUAGE sql AS 'SELECT 1'`},
	{"parts below parts", `CREATE TABLE here.t (a int, b int, CHECK (hers.fine('TRAP', a))) PARTITION BY RANGE (a); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10) PARTITION BY LIST (b); CREATE TABLE here.q PARTITION OF here.p DEFAULT; INSERT INTO here.t VALUES (1, 2); CREATE INDEX ON here.t (hers.seize('TRAP', a)) WHERE hers.fine('TRAP', 3)`},
	{"a function of another owner", `CREATE TABLE here.t (a int CHECK (length(bobs.secret()) > 0 AND hers.fine('TRAP', a))); INSERT INTO here.t VALUES (1)`},
}

// in is the SQL of a trap, in a schema of its own.
func (t trap) in(schema string) string {
	return "CREATE SCHEMA " + schema + ";" + strings.NewReplacer("here.", schema+".", "SCHEMA here", "SCHEMA "+schema, "TRAP", schema).Replace(t.sql)
}

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
		engine := loadEngine(t, server, format)
		manifest := loadDump(t, engine)
		if ran := sprung(t, server); len(ran) > 0 {
			t.Errorf("%s: the backup ran %v", format, ran)
		}
		server.Exec(t, "postgres", "REVOKE CREATE ON TABLESPACE shelf FROM mallory")
		if err := loadBackup(t, engine, manifest, "guarded", false); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if got := server.Value(t, "guarded", "SELECT count(*) FROM pg_class JOIN pg_tablespace s ON s.oid = reltablespace WHERE spcname = 'shelf'"); got != "1" {
			t.Errorf("%s: %s tables are in a tablespace", format, got)
		}
		for name, superuser := range sprung(t, server) {
			if superuser == "true" {
				t.Errorf("%s: %s ran as a superuser", format, name)
			}
		}
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

// What belongs to a superuser and would run an owner's code when it is loaded is refused with its name, and loaded where
// somebody says so.
func TestASuperusersObjectsRunNoTenantsCode(t *testing.T) {
	server := loadServer(t)
	as(t, server, "mallory", weapons)
	for name, test := range map[string]struct{ sql, object string }{
		"a check":                  {"CREATE TABLE public.t (a int CHECK (hers.fine('super', a))); INSERT INTO public.t VALUES (1)", "table public.t"},
		"a check that comes later": {"CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1); ALTER TABLE public.t ADD CONSTRAINT c CHECK (hers.fine('super', a)) NOT VALID", "ADD CONSTRAINT c"},
		"an index":                 {"CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1); CREATE INDEX i ON public.t (hers.seize('super', a))", "CREATE INDEX i ON public.t"},
		"a materialized view":      {"CREATE VIEW hers.v AS SELECT hers.spring('super'); ALTER VIEW hers.v OWNER TO mallory; CREATE MATERIALIZED VIEW public.m AS SELECT * FROM hers.v", "table public.m"},
		"a part of her table":      {"CREATE TABLE hers.t (a int CHECK (hers.fine('super', a))) PARTITION BY RANGE (a); ALTER TABLE hers.t OWNER TO mallory; CREATE TABLE public.p PARTITION OF hers.t FOR VALUES FROM (0) TO (9); INSERT INTO hers.t VALUES (1)", "table"},
		"partitions":               {"CREATE TABLE public.t (a int) PARTITION BY RANGE (hers.seize('super', a))", "table public.t"},
	} {
		for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
			t.Run(name+" "+format, func(t *testing.T) {
				as(t, server, "postgres", test.sql)
				defer as(t, server, "postgres", "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP TABLE IF EXISTS hers.t; DROP VIEW IF EXISTS hers.v")
				engine := loadEngine(t, server, format)
				manifest := loadDump(t, engine)
				forget(t, server)
				err := loadBackup(t, engine, manifest, "guarded", false)
				if !errors.Is(err, backup.ErrContent) || !strings.Contains(err.Error(), test.object) {
					t.Errorf("error = %v, want one that names %s", err, test.object)
				}
				if ran := sprung(t, server); len(ran) > 0 {
					t.Errorf("it ran: %v", ran)
				}
				if got := server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgharbor%'"); got != "0" {
					t.Errorf("%s roles are left", got)
				}
				if err := loadBackup(t, engine, manifest, "trusted", true); err != nil {
					t.Fatal(err)
				}
				server.DropDatabase(t, "trusted")
			})
		}
	}
}

// loadServer is a server with mallory, bob, and the database mal that is hers.
func loadServer(t *testing.T) *postgrestest.Server {
	t.Helper()
	server := postgrestest.Start(t, postgrestest.WithSetting("allow_in_place_tablespaces", "on"))
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
	if got := server.Value(t, "guarded", "SELECT bobs.secret()"); got != "bobs" {
		t.Error("mallory wrote bob's function")
	}
	if got := server.Value(t, "guarded", "SELECT count(*) FROM bobs.ledger"); got != "2" {
		t.Errorf("bob's ledger has %s rows", got)
	}
	if got := server.Value(t, "guarded", "SELECT count(*) FROM pg_class WHERE relname = 'planted'"); got != "0" {
		t.Error("mallory made a table as bob")
	}
	if got := server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgharbor%'"); got != "0" {
		t.Errorf("%s roles are left", got)
	}
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

func loadDump(t *testing.T, engine *backup.Engine) backup.Manifest {
	t.Helper()
	manifest, err := engine.Backup(t.Context(), backup.BackupRequest{RunID: "run", Database: "mal", Trigger: backup.TriggerManual})
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

// loadEngine is an engine on a server, as the superuser of its agent.
func loadEngine(t *testing.T, server *postgrestest.Server, format string) *backup.Engine {
	t.Helper()
	settings, err := postgres.SettingsFrom(server.Environ())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files, err := store.Open(filepath.Join(t.TempDir(), "backups"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(instance.Close(), files.Close()); err != nil {
			t.Error(err)
		}
	})
	return &backup.Engine{Instance: instance, Store: files, InstanceName: "test", Format: format, Now: time.Now}
}

func loadBackup(t *testing.T, engine *backup.Engine, manifest backup.Manifest, target string, trust bool) error {
	t.Helper()
	stored, err := engine.Find(manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Restore(t.Context(), backup.RestoreRequest{
		Path: engine.Store.Path(stored.Location), Manifest: &stored.Manifest, Target: target, RestoreID: "attack", TrustContent: trust,
	})
}

// Code of an owner that runs while rows are loaded can put a trigger on a table that is loaded later. That table is then refused,
// and no login is left.
func TestWhatRunsDuringALoadArmsNothing(t *testing.T) {
	server := loadServer(t)
	as(t, server, "mallory", weapons+`
		CREATE SCHEMA trap; CREATE TABLE trap.z (n int); INSERT INTO trap.z VALUES (1);
		CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''armed''); RETURN new; END';
		CREATE FUNCTION trap.arm() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
			IF current_database() <> 'mal' AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgname = 'armed') THEN
				CREATE TRIGGER armed BEFORE INSERT ON trap.z FOR EACH ROW EXECUTE FUNCTION trap.fire();
				ALTER TABLE trap.z ENABLE ALWAYS TRIGGER armed;
			END IF; RETURN true; END $$;
		CREATE TABLE trap.a (n int CHECK (trap.arm())); INSERT INTO trap.a VALUES (1)`)
	engine := loadEngine(t, server, postgres.FormatPlain)
	manifest := loadDump(t, engine)
	forget(t, server)
	if err := loadBackup(t, engine, manifest, "guarded", false); !errors.Is(err, backup.ErrContent) || !strings.Contains(err.Error(), "trap.z") {
		t.Errorf("the armed table: %v", err)
	}
	if ran := sprung(t, server); len(ran) > 0 {
		t.Errorf("it ran: %v", ran)
	}
	if got := server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgharbor%' AND rolcanlogin"); got != "0" {
		t.Errorf("%s logins are left", got)
	}
}
