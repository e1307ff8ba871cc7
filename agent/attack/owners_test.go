package attack_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// together is what healthy databases of several owners have, each in a schema of bob's; a superuser makes it.
var together = []trap{
	{"a generated column and a storage", `SET ROLE bob; CREATE TABLE here.t (a text, low text GENERATED ALWAYS AS (b.norm(a)) STORED); ALTER TABLE here.t ALTER a SET STORAGE EXTERNAL; INSERT INTO here.t VALUES ('X')`},
	{"a generated column and a target of statistics", `SET ROLE bob; CREATE TABLE here.t (a text, low text GENERATED ALWAYS AS (b.norm(a)) STORED); ALTER TABLE here.t ALTER a SET STATISTICS 500; INSERT INTO here.t VALUES ('X')`},
	{"parts of two owners with a check", `CREATE TABLE here.t (a int CHECK (a > 0)) PARTITION BY RANGE (a); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (9); INSERT INTO here.t VALUES (1); ALTER TABLE here.t OWNER TO bob; ALTER TABLE here.p OWNER TO mallory`},
	{"a superuser's part of a table", `SET ROLE bob; CREATE TABLE here.t (a int CHECK (a > 0), d timestamptz) PARTITION BY RANGE (a); RESET ROLE; CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (9); INSERT INTO here.t VALUES (1)`},
	{"a superuser's table with an owner's function", `CREATE TABLE here.t (a text CHECK (b.norm(a) = a)); INSERT INTO here.t VALUES ('x')`},
	{"a superuser's table with an owner's domain", `SET ROLE bob; CREATE DOMAIN here.email AS text CHECK (VALUE ~ '@'); RESET ROLE; CREATE TABLE here.u (e here.email); INSERT INTO here.u VALUES ('a@b')`},
	{"a check that reads a table that is loaded later", `SET ROLE bob; CREATE TABLE here.cfg (m int); INSERT INTO here.cfg VALUES (5); CREATE FUNCTION here.lim() RETURNS int LANGUAGE sql STABLE AS 'SELECT m FROM here.cfg'; CREATE TABLE here.zz (n int CHECK (coalesce(n < here.lim(), false)), filler text); INSERT INTO here.zz SELECT 1, repeat('x', 500) FROM generate_series(1, 1000)`},
	{"a schema where the owner may make nothing", `CREATE SCHEMA "here.app"; GRANT USAGE ON SCHEMA "here.app" TO bob; CREATE TABLE "here.app".t (a text, low text GENERATED ALWAYS AS (b.norm(a)) STORED); ALTER TABLE "here.app".t OWNER TO bob; INSERT INTO "here.app".t VALUES ('x');
		CREATE INDEX ON "here.app".t (b.norm(a)) WHERE b.norm(a) = 'x'; CREATE STATISTICS "here.app".s ON (b.norm(a)) FROM "here.app".t; ALTER STATISTICS "here.app".s OWNER TO bob; CREATE VIEW "here.app".v AS SELECT b.norm(a) FROM "here.app".t; ALTER VIEW "here.app".v OWNER TO bob`},
	{"an owner without INSERT", `CREATE TABLE here.t (a int CHECK (a > 0), s text CHECK (b.norm(s) = s)); INSERT INTO here.t VALUES (1, 'x'); ALTER TABLE here.t OWNER TO bob; REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON here.t FROM bob`},
	{"a generated column and the parent of another owner", `CREATE TABLE here.t (a int); CREATE TABLE here.p (b int GENERATED ALWAYS AS (a * 2) STORED) INHERITS (here.t); INSERT INTO here.p VALUES (1); ALTER TABLE here.p OWNER TO mallory; ALTER TABLE here.t OWNER TO bob; GRANT USAGE ON SCHEMA here TO mallory`},
	{"a generated column and the type of another owner", `CREATE SCHEMA "here.app"; CREATE TYPE "here.app".e AS ENUM ('x'); CREATE TABLE here.t (a int, c "here.app".e DEFAULT 'x', b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO here.t VALUES (1); ALTER TABLE here.t OWNER TO bob`},
	{"names like keywords", `CREATE TABLE here.t ("check" int, a int); ALTER TABLE here.t ADD CONSTRAINT c UNIQUE (a); INSERT INTO here.t VALUES (1, 1); ALTER TABLE here.t OWNER TO bob; CREATE TABLE here."on" (a int); CREATE INDEX ON here."on" (a); CREATE TABLE here."using, (x" ("where" int); CREATE INDEX ON here."using, (x" ("where")`},
	{"a cast of an owner's and a superuser's key", `SET ROLE bob; CREATE TYPE here.e AS ENUM ('x'); CREATE FUNCTION here.tt(here.e) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''::text'; CREATE CAST (here.e AS text) WITH FUNCTION here.tt(here.e); RESET ROLE; CREATE TABLE here.k (a int PRIMARY KEY); CREATE TABLE here.f (a int REFERENCES here.k); CREATE INDEX ON here.f ((a + 1)) WHERE a > 0`},
	{"views in a circle", `SET ROLE bob; CREATE TABLE here.t (a int PRIMARY KEY, b text); CREATE TYPE here.s AS ENUM ('new'); CREATE VIEW here.v AS SELECT a, b, 'new'::here.s AS s FROM here.t GROUP BY a; CREATE FUNCTION here.first() RETURNS here.v LANGUAGE sql AS 'SELECT * FROM here.v LIMIT 1'; CREATE TABLE here.u (v here.v)`},
	{"a trigger with a condition", `SET ROLE bob; CREATE TYPE here.s AS ENUM ('new'); CREATE TABLE here.t (a int, s here.s DEFAULT 'new'); CREATE FUNCTION here.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER g BEFORE UPDATE ON here.t FOR EACH ROW WHEN (old.s IS DISTINCT FROM new.s AND new.s = 'new'::here.s) EXECUTE FUNCTION here.fire(); INSERT INTO here.t VALUES (1)`},
	{"another owner's domain with a function", `SET ROLE mallory; CREATE DOMAIN hers.here AS text CHECK (hers.known(VALUE)); RESET ROLE; CREATE TABLE here.t (a hers.here, b int); ALTER TABLE here.t OWNER TO bob; INSERT INTO here.t VALUES ('x', 1)`},
	{"a materialized view of another owner's table", `SET ROLE mallory; CREATE TABLE hers.here (a int CHECK (a > 0)); INSERT INTO hers.here VALUES (1); CREATE INDEX ON hers.here (a) WHERE a > 0; GRANT SELECT ON hers.here TO bob; RESET ROLE; SET ROLE bob; CREATE MATERIALIZED VIEW here.m AS SELECT a FROM hers.here; RESET ROLE; CREATE MATERIALIZED VIEW here.n AS SELECT a FROM hers.here`},
	{"a key to another owner's partitions", `SET ROLE mallory; CREATE TABLE hers.here (a int PRIMARY KEY) PARTITION BY RANGE (a); CREATE TABLE hers.here_1 PARTITION OF hers.here FOR VALUES FROM (0) TO (9); INSERT INTO hers.here VALUES (1); GRANT REFERENCES ON hers.here TO bob; SET ROLE bob; CREATE TABLE here.t (a int REFERENCES hers.here); INSERT INTO here.t VALUES (1)`},
	{"a grant of a grantee on an extension's function", `CREATE EXTENSION fuzzystrmatch SCHEMA here; GRANT EXECUTE ON FUNCTION here.soundex(text) TO bob WITH GRANT OPTION; SET ROLE bob; GRANT EXECUTE ON FUNCTION here.soundex(text) TO mallory`},
	{"an index and a column of one name", `SET ROLE bob; CREATE TABLE here.t (id int, b int); CREATE UNIQUE INDEX u ON here.t (id); CREATE INDEX id ON here.t (b) WHERE b > 0; CREATE TABLE here.f (a int REFERENCES here.t (id)); INSERT INTO here.t VALUES (1, 1); INSERT INTO here.f VALUES (1)`},
	{"a schema that is closed to who wrote a domain", `SET ROLE mallory; CREATE DOMAIN hers.here AS text CHECK (VALUE <> ''); RESET ROLE; CREATE SCHEMA "here.app"; CREATE TABLE "here.app".t (id serial, a hers.here); INSERT INTO "here.app".t (a) VALUES ('x')`},
	{"another owner's domain that reads a table that is loaded later", `SET ROLE mallory; CREATE TABLE hers.here (m int); INSERT INTO hers.here VALUES (5); GRANT SELECT ON hers.here TO PUBLIC; CREATE FUNCTION hers.here_f(int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT coalesce($1 < (SELECT m FROM hers.here), false)'; CREATE DOMAIN hers.here_d AS int CHECK (hers.here_f(VALUE)); RESET ROLE; CREATE TABLE here.t (n hers.here_d, filler text); ALTER TABLE here.t OWNER TO bob; INSERT INTO here.t SELECT 1, repeat('x', 500) FROM generate_series(1, 1000)`},
	{"row security", `SET ROLE bob; CREATE TABLE here.t (a int, who text CHECK (b.norm(who) = who)); ALTER TABLE here.t ENABLE ROW LEVEL SECURITY; ALTER TABLE here.t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON here.t USING (b.norm(who) = current_user::text); RESET ROLE; INSERT INTO here.t VALUES (1, 'x')`},
}

// A healthy database of several owners comes back as it was, without --trust-content.
func TestADatabaseOfSeveralOwnersComesBack(t *testing.T) {
	server := loadServer(t)
	as(t, server, "postgres", `CREATE SCHEMA b AUTHORIZATION bob; CREATE SCHEMA hers AUTHORIZATION mallory; GRANT USAGE ON SCHEMA b TO mallory; GRANT USAGE ON SCHEMA hers TO bob;
		SET ROLE bob; CREATE FUNCTION b.norm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.lower($1)'; SET ROLE mallory; CREATE FUNCTION hers.known(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 <> ''''; END'`)
	for n, one := range slices.Concat(together, usesOfOthers) {
		schema := fmt.Sprintf("s%d", n)
		as(t, server, "postgres", "CREATE SCHEMA "+schema+" AUTHORIZATION bob;"+strings.NewReplacer("here.", schema+".", "hers.here", "hers."+schema, "SCHEMA here", "SCHEMA "+schema).Replace(one.sql))
	}
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := loadConfig(t, server, format)
		if err := loadBackup(t, config, loadDump(t, config), "guarded", false); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, postgres.Words(err))
		}
		if diff := cmp.Diff(dumpOf(t, server, "mal"), dumpOf(t, server, "guarded")); diff != "" {
			t.Errorf("%s: pg_dump (-before +after):\n%s", format, diff)
		}
		server.DropDatabase(t, "guarded")
	}
}

// What several owners have a part in, and can't be loaded so that none gains, is refused with its name.
func TestWhatMixesOwnersIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ sql, object string }{
		"parts of two owners with a function":                {`SET ROLE bob; CREATE TABLE b.t (a int, s text CHECK (b.norm(s) = s)) PARTITION BY RANGE (a); RESET ROLE; CREATE TABLE b.p PARTITION OF b.t FOR VALUES FROM (0) TO (9); ALTER TABLE b.p OWNER TO mallory; INSERT INTO b.t VALUES (1, 'x')`, "table b.p"},
		"a function that is called no more":                  {`CREATE TABLE hers.t (a text CHECK (b.norm(a) = a)); ALTER TABLE hers.t OWNER TO mallory; INSERT INTO hers.t VALUES ('x'); REVOKE ALL ON FUNCTION b.norm(text) FROM PUBLIC`, "table hers.t"},
		"a schema that the owner can't see":                  {`CREATE SCHEMA app; CREATE TABLE app.t (a text CHECK (b.norm(a) = a)); ALTER TABLE app.t OWNER TO bob; INSERT INTO app.t VALUES ('x')`, "table app.t"},
		"an owner that can't see their table's schema":       {`CREATE SCHEMA app; CREATE TABLE app.t (a int CHECK (a > 0)); ALTER TABLE app.t OWNER TO bob; INSERT INTO app.t VALUES (1)`, "table app.t"},
		"a superuser's function that the owner may not call": {`CREATE FUNCTION public.f(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; REVOKE ALL ON FUNCTION public.f(int) FROM public; CREATE TABLE hers.t (a int CHECK (public.f(a))); INSERT INTO hers.t VALUES (1); ALTER TABLE hers.t OWNER TO mallory`, "table hers.t"},
		"a superuser's materialized view of an owner's view": {`CREATE VIEW hers.v AS SELECT 1 AS n; ALTER VIEW hers.v OWNER TO mallory; CREATE MATERIALIZED VIEW public.m AS SELECT n FROM hers.v`, "materialized view public.m"},
	} {
		t.Run(name, func(t *testing.T) {
			server := loadServer(t)
			as(t, server, "postgres", `CREATE SCHEMA hers AUTHORIZATION mallory; CREATE SCHEMA b AUTHORIZATION bob; GRANT USAGE ON SCHEMA b TO mallory;
				SET ROLE bob; CREATE FUNCTION b.norm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.lower($1)'; RESET ROLE;`+test.sql)
			config := loadConfig(t, server, postgres.FormatCustom)
			err := loadBackup(t, config, loadDump(t, config), "guarded", false)
			if !errors.Is(err, backup.ErrContent) || !strings.Contains(err.Error(), test.object) {
				t.Errorf("error = %v, want one that names %s", err, test.object)
			}
			wantNoLogins(t, server)
		})
	}
}

// Bob's table has a column of mallory's domain, to which she gave a check without asking him. A restore that loads it does not
// run that with bob's rights.
func TestAnotherOwnersDomainRunsWithoutTheTablesRights(t *testing.T) {
	server := loadServer(t)
	as(t, server, "postgres", bobs)
	as(t, server, "mallory", weapons+"; CREATE DOMAIN hers.d AS int; GRANT USAGE ON SCHEMA hers TO bob")
	as(t, server, "postgres", "SET ROLE bob; CREATE TABLE bobs.old (n hers.d); INSERT INTO bobs.old VALUES (1)")
	as(t, server, "mallory", "ALTER DOMAIN hers.d ADD CHECK (hers.fine('asbob', VALUE))")
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := loadConfig(t, server, format)
		if err := loadBackup(t, config, loadDump(t, config), "guarded", false); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if got := server.Value(t, "guarded", "SELECT count(*) FROM bobs.old"); got != "1" {
			t.Errorf("%s rows are back", got)
		}
		untouchedBob(t, server)
		server.DropDatabase(t, "guarded")
	}
}

// Nobody else is in a database while it is filled: with a trigger or a lock there, its owner would have a say in the load.
func TestNobodyEntersADatabaseThatIsBeingRestored(t *testing.T) {
	server := loadServer(t)
	as(t, server, "mallory", weapons+`CREATE TABLE hers.t (n int CHECK (hers.fine('inside', n))); INSERT INTO hers.t SELECT generate_series(1, 100)`)
	config := loadConfig(t, server, postgres.FormatPlain)
	manifest := loadDump(t, config)
	temporary := strings.Replace(server.URL("pgharbor_restore_attack"), "user=postgres", "user=mallory", 1)
	stop, entered := make(chan struct{}), make(chan bool)
	go func() {
		in := false
		for {
			select {
			case <-stop:
				entered <- in
				return
			default:
			}
			conn, err := pgconn.Connect(t.Context(), temporary)
			if err == nil {
				// It is hers when all is in it, for the moment before it gets its name.
				own := conn.ExecParams(t.Context(), "SELECT FROM pg_database WHERE datname = current_database() AND datdba = 'mallory'::regrole", nil, nil, nil, nil).Read()
				in = in || own.Err == nil && len(own.Rows) == 0
				_ = conn.Close(t.Context())
			}
		}
	}()
	err := loadBackup(t, config, manifest, "guarded", false)
	close(stop)
	if in := <-entered; in || err != nil {
		t.Errorf("she was in: %v; the restore: %v", in, err)
	}
	conn, err := pgconn.Connect(t.Context(), strings.Replace(server.URL("guarded"), "user=postgres", "user=mallory", 1))
	if err != nil {
		t.Fatalf("she can't connect to the restored database: %v", err)
	}
	_ = conn.Close(t.Context())
}

// Where the server lets no login in, plain tables of all owners come back, and what needs a login is refused: never is it loaded with
// the superuser's rights. Nothing that was tried is left.
func TestWithoutLoginsNothingRunsWithMoreRights(t *testing.T) {
	server := loadServer(t)
	as(t, server, "mallory", weapons+"CREATE TABLE hers.plain (n int, s text DEFAULT 'x'); INSERT INTO hers.plain VALUES (1, 'y'); CREATE TABLE hers.other (n int PRIMARY KEY)")
	rules := "local all postgres trust\nlocal all all reject\nhost all postgres all trust\nhost all all all reject\n"
	if err := os.WriteFile(server.Value(t, "postgres", "SHOW hba_file"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		server.Exec(t, "postgres", "SELECT pg_reload_conf()")
		config := loadConfig(t, server, format)
		if err := loadBackup(t, config, loadDump(t, config), "guarded", false); err != nil {
			t.Fatalf("%s: plain tables: %v", format, err)
		}
		wantNoLogins(t, server)
		server.DropDatabase(t, "guarded")
		server.Exec(t, "mal", "CREATE TABLE hers.checked (n int CHECK (hers.fine('alone', n))); INSERT INTO hers.checked VALUES (1); ALTER TABLE hers.checked OWNER TO mallory")
		forget(t, server)
		err := loadBackup(t, config, loadDump(t, config), "guarded", false)
		if errors.Is(err, backup.ErrContent) || !postgres.LacksLogin(err) {
			t.Errorf("%s: a table with a check: %v", format, err)
		}
		if ran := sprung(t, server); len(ran) > 0 {
			t.Errorf("%s: it ran: %v", format, ran)
		}
		wantNoLogins(t, server)
		if said := errors.As(config.Instance.CheckLogin(t.Context()), new(*postgres.NoWayIn)); !said {
			t.Errorf("%s: it is not said beforehand", format)
		}
		server.Exec(t, "mal", "DROP TABLE hers.checked")
	}
}

// The password of a login is in memory alone: a state folder that is full keeps nobody from a restore.
func TestALoginNeedsNoFiles(t *testing.T) {
	server := loadServer(t)
	as(t, server, "mallory", "CREATE SCHEMA hers; CREATE FUNCTION hers.fine(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE TABLE hers.checked (n int CHECK (hers.fine(n))); INSERT INTO hers.checked VALUES (1)")
	config := loadConfig(t, server, postgres.FormatPlain)
	manifest := loadDump(t, config)
	settings, err := postgres.SettingsFrom(server.Environ())
	if err != nil {
		t.Fatal(err)
	}
	private := t.TempDir()
	if config.Instance, err = postgres.Open(settings, private); err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Glob(filepath.Join(private, "postgres-*"))
	if err != nil || len(own) != 1 {
		t.Fatal(own, err)
	}
	long := time.Unix(1e9, 0)
	if err := os.Chtimes(own[0], long, long); err != nil {
		t.Fatal(err)
	}
	err = loadBackup(t, config, manifest, "guarded", false)
	folder, statErr := os.Stat(own[0])
	if err != nil || statErr != nil || !folder.ModTime().Equal(long) {
		t.Errorf("a file was made: %v, %v; the restore: %v", folder, statErr, err)
	}
	if err := config.Instance.Close(); err != nil {
		t.Error(err)
	}
}
