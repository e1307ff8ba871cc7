package attack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// complete is a healthy database of which a restore once lost something, or refused it: what a superuser makes, taking on roles.
type complete struct{ name, sql string }

// completeBase comes before each: bob and mallory have a schema each, and bob a function.
const completeBase = `CREATE SCHEMA b AUTHORIZATION bob; CREATE SCHEMA hers AUTHORIZATION mallory; GRANT USAGE ON SCHEMA b TO mallory; GRANT USAGE ON SCHEMA hers TO bob;
	SET ROLE bob; CREATE FUNCTION b.norm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.lower($1)'; RESET ROLE;`

var completes = []complete{
	{"a comment on a foreign key", `SET ROLE bob; CREATE TABLE b.t (id int PRIMARY KEY, CONSTRAINT more CHECK (id > 0), CONSTRAINT ex EXCLUDE (id WITH =) WHERE (id > 5));
		CREATE TABLE b.u (a int, CONSTRAINT fk FOREIGN KEY (a) REFERENCES b.t); COMMENT ON CONSTRAINT fk ON b.u IS 'x'; COMMENT ON CONSTRAINT t_pkey ON b.t IS 'y'; COMMENT ON CONSTRAINT more ON b.t IS 'z'; COMMENT ON CONSTRAINT ex ON b.t IS 'w'`},
	{"grants on a materialized view behind a primary key", `SET ROLE bob; CREATE TABLE b.t (id int PRIMARY KEY, n text); INSERT INTO b.t VALUES (1, 'a'); CREATE MATERIALIZED VIEW b.m AS SELECT id, n, count(*) AS c FROM b.t GROUP BY id;
		GRANT SELECT ON b.m TO mallory; GRANT SELECT (n) ON b.m TO PUBLIC; CREATE UNIQUE INDEX ON b.m (id); COMMENT ON MATERIALIZED VIEW b.m IS 'x'; CREATE VIEW b.v AS SELECT * FROM b.m; GRANT SELECT ON b.v TO mallory;
		CREATE VIEW b.w AS SELECT id, n FROM b.t GROUP BY id; GRANT SELECT ON b.w TO mallory`},
	{"grants on a function behind a primary key", `SET ROLE bob; CREATE TABLE b.t (id int PRIMARY KEY, n text); CREATE FUNCTION b.f(i int) RETURNS SETOF b.t LANGUAGE sql BEGIN ATOMIC SELECT id, n FROM b.t GROUP BY id; END;
		CREATE FUNCTION b.up(i int) RETURNS void LANGUAGE sql BEGIN ATOMIC INSERT INTO b.t VALUES (i, 'x') ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING; END; REVOKE ALL ON FUNCTION b.f(int) FROM PUBLIC; GRANT EXECUTE ON FUNCTION b.f(int) TO mallory`},
	{"grants on aggregates", `SET ROLE bob; CREATE TABLE b.t (id int PRIMARY KEY, n text); CREATE FUNCTION b.f(s int, i int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT s + i FROM (SELECT id, n FROM b.t GROUP BY id) AS x; END;
		CREATE AGGREGATE b.late(int) (SFUNC = b.f, STYPE = int); REVOKE ALL ON FUNCTION b.late(int) FROM PUBLIC; CREATE AGGREGATE b.late(text) (SFUNC = textcat, STYPE = text); REVOKE ALL ON FUNCTION b.late(text) FROM PUBLIC; GRANT EXECUTE ON FUNCTION b.late(text) TO mallory;
		CREATE AGGREGATE b."(all)"(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0'); REVOKE ALL ON FUNCTION b."(all)"() FROM PUBLIC; CREATE AGGREGATE b.late(float8 ORDER BY x text) (SFUNC = textcat, STYPE = text, INITCOND = ''); GRANT EXECUTE ON FUNCTION b.late(float8, text) TO mallory`},
	{"a domain that the owner of a table may use no more", `CREATE DOMAIN b.d AS text CHECK (VALUE <> ''); REVOKE ALL ON TYPE b.d FROM PUBLIC; CREATE TABLE b.t (d b.d, s text DEFAULT b.norm('X'), g text GENERATED ALWAYS AS (b.norm('X')) STORED); ALTER TABLE b.t OWNER TO bob; INSERT INTO b.t VALUES ('x')`},
	{"grants on all kinds", `SET ROLE bob; CREATE TABLE b.t (id serial, s text CHECK (b.norm(s) = s)); GRANT USAGE ON SEQUENCE b.t_id_seq TO mallory; CREATE SEQUENCE b.s; GRANT SELECT ON SEQUENCE b.s TO mallory; CREATE DOMAIN b.d AS text CHECK (b.norm(VALUE) = VALUE);
		REVOKE ALL ON DOMAIN b.d FROM PUBLIC; CREATE TYPE b.e AS ENUM ('x'); REVOKE ALL ON TYPE b.e FROM PUBLIC; GRANT USAGE ON TYPE b.e TO mallory; CREATE PROCEDURE b.p() LANGUAGE sql AS ''; REVOKE ALL ON PROCEDURE b.p() FROM PUBLIC; CREATE VIEW b.v AS SELECT b.norm(s) AS s FROM b.t; GRANT SELECT ON b.v TO mallory`},
	{"rights on schemas", `CREATE ROLE carol; CREATE ROLE "the ""team"; CREATE SCHEMA arch AUTHORIZATION bob; CREATE SCHEMA "s.1" AUTHORIZATION mallory; CREATE SCHEMA closed AUTHORIZATION bob; CREATE SCHEMA own; SET ROLE bob; CREATE TABLE arch.t (s text CHECK (b.norm(s) = s));
		REVOKE CREATE ON SCHEMA arch FROM bob; GRANT USAGE ON SCHEMA arch TO postgres; GRANT USAGE ON SCHEMA b TO postgres; GRANT CREATE ON SCHEMA b TO PUBLIC; GRANT ALL ON SCHEMA b TO carol WITH GRANT OPTION; REVOKE ALL ON SCHEMA closed FROM bob;
		SET ROLE carol; GRANT USAGE ON SCHEMA b TO "the ""team" WITH GRANT OPTION; SET ROLE "the ""team"; GRANT USAGE ON SCHEMA b TO mallory; RESET ROLE; GRANT USAGE ON SCHEMA own TO bob; SET ROLE mallory; GRANT CREATE ON SCHEMA "s.1" TO postgres WITH GRANT OPTION`},
	{"grants of grantees who may not use the schema any more", `CREATE ROLE "the grantee"; SET ROLE bob; CREATE TABLE b.t (a int); GRANT USAGE ON SCHEMA b TO "the grantee"; GRANT SELECT ON b.t TO "the grantee" WITH GRANT OPTION; GRANT EXECUTE ON FUNCTION b.norm(text) TO "the grantee" WITH GRANT OPTION;
		SET ROLE "the grantee"; GRANT SELECT ON b.t TO mallory; GRANT EXECUTE ON FUNCTION b.norm(text) TO mallory; SET ROLE bob; REVOKE USAGE ON SCHEMA b FROM "the grantee"`},
	{"rights on a schema public that changed hands", `ALTER SCHEMA public OWNER TO bob; GRANT ALL ON SCHEMA public TO pg_database_owner; GRANT USAGE ON SCHEMA public TO postgres`},
	{"a schema public that is closed and changed hands", `ALTER SCHEMA public OWNER TO bob; REVOKE ALL ON SCHEMA public FROM PUBLIC, bob; GRANT USAGE ON SCHEMA public TO bob`},
	{"a schema public of a superuser", `ALTER SCHEMA public OWNER TO postgres; GRANT ALL ON SCHEMA public TO pg_database_owner; GRANT CREATE ON SCHEMA public TO PUBLIC`},
	{"a schema public that changed its rights", `REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO postgres, bob; REVOKE CREATE ON SCHEMA public FROM pg_database_owner`},
	{"a sequence that a check takes numbers from", `SET ROLE bob; CREATE SEQUENCE b.checked; CREATE FUNCTION b.count(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN pg_catalog.nextval(''b.checked'') > 0; END';
		CREATE TABLE b.t (a int CHECK (b.count(a))); INSERT INTO b.t SELECT generate_series(1, 20000); CREATE TABLE b.u (a int CHECK (b.count(a))); INSERT INTO b.u SELECT generate_series(1, 20000); SELECT setval('b.checked', 7)`},
	{"sequences of tables that nobody loads", `SET ROLE mallory; CREATE DOMAIN hers.d AS text CHECK (b.norm(VALUE) <> ''); SET ROLE bob; CREATE TABLE b.t (id serial, d hers.d, i int GENERATED ALWAYS AS IDENTITY); RESET ROLE; INSERT INTO b.t (d) SELECT 'x' FROM generate_series(1, 20000)`},
	{"a sequence with a backslash in its name", `CREATE ROLE "CORP\jane"; CREATE SCHEMA AUTHORIZATION "CORP\jane"; SET ROLE "CORP\jane"; CREATE TABLE "CORP\jane"."it's" (id serial, CHECK (id > 0)); INSERT INTO "CORP\jane"."it's" DEFAULT VALUES`},
	{"a rule and functions that name a constraint with a condition", `SET ROLE bob; CREATE TABLE b.t (a int, s text, CONSTRAINT ex EXCLUDE USING btree (a WITH =) WHERE (a > 0)); CREATE TABLE b.log (a int, ex text);
		CREATE RULE r AS ON INSERT TO b.log DO INSTEAD INSERT INTO b.t VALUES (new.a, new.ex) ON CONFLICT ON CONSTRAINT ex DO NOTHING; COMMENT ON RULE r ON b.log IS 'x'; ALTER TABLE b.log DISABLE RULE r;
		CREATE UNIQUE INDEX li ON b.t (b.norm(s)); CREATE RULE r2 AS ON UPDATE TO b.log DO INSTEAD INSERT INTO b.t VALUES (new.a, new.ex) ON CONFLICT (b.norm(s)) DO UPDATE SET a = 2;
		CREATE FUNCTION b.up(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC INSERT INTO b.t VALUES (i, 'x') ON CONFLICT ON CONSTRAINT ex DO NOTHING RETURNING 1; END; COMMENT ON FUNCTION b.up(int) IS 'x'; REVOKE ALL ON FUNCTION b.up(int) FROM PUBLIC;
		CREATE VIEW b.v AS SELECT b.up(1); COMMENT ON VIEW b.v IS 'x'; GRANT SELECT ON b.v TO mallory; CREATE MATERIALIZED VIEW b.m AS SELECT b.norm(s) AS s, b.up(2) AS n FROM b.t WITH NO DATA; CREATE INDEX mi ON b.m (n); COMMENT ON INDEX b.mi IS 'x'`},
	{"a default conversion", `CREATE DEFAULT CONVERSION b.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; ALTER CONVERSION b.conv OWNER TO bob; CREATE CONVERSION b.other FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; COMMENT ON CONVERSION b.conv IS 'x'`},
	{"a function atomic in a schema begin", `CREATE SCHEMA begin AUTHORIZATION bob; SET ROLE bob; CREATE TYPE begin.atomic AS (a int); CREATE FUNCTION begin.atomic(int) RETURNS begin.atomic LANGUAGE sql AS 'SELECT NULL::begin.atomic'; CREATE FUNCTION begin.atoms(int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT (begin.atomic($1)).a; END`},
	{"a foreign table with an own function", `CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw; ALTER SERVER s OWNER TO mallory; SET ROLE mallory; GRANT USAGE ON FOREIGN SERVER s TO bob;
		SET ROLE bob; CREATE FOREIGN TABLE b.ft (a text OPTIONS (column_name 'q') CHECK (b.norm(a) = a), d text DEFAULT b.norm('X')) SERVER s OPTIONS (table_name 'x'); ALTER FOREIGN TABLE b.ft ALTER a SET STATISTICS 200, ALTER d SET (n_distinct = 5); GRANT SELECT ON b.ft TO mallory;
		CREATE FOREIGN TABLE b.gt (a int OPTIONS (column_name 'r')) SERVER s; COMMENT ON FOREIGN TABLE b.gt IS 'x'`},
	{"a foreign table of who may not use its server", `CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw; CREATE FOREIGN TABLE b.ft (a text OPTIONS (column_name 'q') CHECK (b.norm(a) = a)) SERVER s; ALTER FOREIGN TABLE b.ft ALTER a SET STATISTICS 200; ALTER FOREIGN TABLE b.ft OWNER TO bob`},
	{"a materialized view along its owner's path", `ALTER ROLE bob SET search_path = b; SET ROLE bob; CREATE TABLE b.look (a text); INSERT INTO b.look VALUES ('x'); CREATE FUNCTION b.g(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(a) FROM look); END';
		SET search_path = b; CREATE MATERIALIZED VIEW b.m AS SELECT b.g(a) AS g FROM b.look`},
	{"a materialized view along a path with its owner's name", `ALTER SCHEMA b RENAME TO bob; ALTER DATABASE mal SET search_path = "$user"; SET ROLE bob; CREATE TABLE bob.look (a text); CREATE FUNCTION bob.g(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(a) FROM look); END';
		SET search_path = bob; INSERT INTO look VALUES ('x'); CREATE MATERIALIZED VIEW bob.m AS SELECT bob.g(a) AS g FROM bob.look`},
	{"a path of all roles", `ALTER ROLE ALL SET search_path = b, public; ` + looks},
	{"checks between tables, and keys in a circle", `SET ROLE bob; CREATE TABLE b.kinds (id int PRIMARY KEY, of int); CREATE FUNCTION b.is_of(int, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN IF NOT EXISTS (SELECT FROM b.kinds WHERE id = $1 AND of = $2) THEN RAISE EXCEPTION ''kind % is not of %'', $1, $2; END IF; RETURN true; END';
		INSERT INTO b.kinds VALUES (1, 7), (2, 8); CREATE TABLE b.frames (id int PRIMARY KEY, kind int CHECK (b.is_of(kind, 7)), parent int REFERENCES b.frames); CREATE TABLE b.aims (id int PRIMARY KEY, kind int CHECK (b.is_of(kind, 8)), frame int REFERENCES b.frames); ALTER TABLE b.frames ADD aim int REFERENCES b.aims;
		INSERT INTO b.frames VALUES (1, 1, NULL), (2, 1, 1); INSERT INTO b.aims VALUES (1, 2, 1); UPDATE b.frames SET aim = 1`},
	{"words that a materialized view counts in a table without its schema", `SET ROLE bob; CREATE TABLE b.documents (title text); INSERT INTO b.documents VALUES ('one two'), ('two'); SET search_path = b; CREATE MATERIALIZED VIEW b.words AS SELECT word, ndoc FROM ts_stat('SELECT to_tsvector(''simple'', title) FROM documents'); RESET ROLE; ALTER DATABASE mal SET search_path = b, public`},
	{"rows that a check and a key that are not valid do not let in", `SET ROLE bob; CREATE TABLE b.k (id int PRIMARY KEY); CREATE TABLE b.t (a int, k int); INSERT INTO b.t VALUES (-1, 9); ALTER TABLE b.t ADD CONSTRAINT positive CHECK (a > 0) NOT VALID; ALTER TABLE b.t ADD CONSTRAINT known FOREIGN KEY (k) REFERENCES b.k NOT VALID; COMMENT ON CONSTRAINT known ON b.t IS 'later'; CREATE VIEW b.v AS SELECT a FROM b.t`},
	{"an extension's type and function in a check", `CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS unaccent; SET ROLE bob; CREATE TABLE b.t (a public.citext PRIMARY KEY CHECK (public.unaccent(a::text) <> '')); INSERT INTO b.t VALUES ('É')`},
}

// looks is what bob has that is found along a path with his schema.
const looks = `SET ROLE bob; CREATE TABLE b.look (a text); INSERT INTO b.look VALUES ('x'); CREATE FUNCTION b.g(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) < 99 FROM look); END';
	SET search_path = b; CREATE TABLE b.m (a text CHECK (b.g(a))); INSERT INTO b.m VALUES ('x')`

// completely restores a database and wants it back as it was.
func completely(t *testing.T, server *postgrestest.Server, sql string) {
	t.Helper()
	as(t, server, "postgres", completeBase)
	as(t, server, "postgres", sql)
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := loadConfig(t, server, format)
		if err := loadBackup(t, config, loadDump(t, config), "guarded", false); err != nil {
			t.Errorf("%s: restore: %v\n%s", format, err, postgres.Words(err))
			wantNoLogins(t, server)
			continue
		}
		wantNoLogins(t, server)
		if diff := cmp.Diff(dumpOf(t, server, "mal"), dumpOf(t, server, "guarded")); diff != "" {
			t.Errorf("%s: pg_dump (-before +after):\n%s", format, diff)
		}
		server.DropDatabase(t, "guarded")
	}
}

// Nothing of a database is lost by a restore, and nothing healthy is refused.
func TestNothingIsLostByARestore(t *testing.T) {
	for _, c := range completes {
		t.Run(c.name, func(t *testing.T) { completely(t, loadServer(t), c.sql) })
	}
}

// A path of the server's own configuration counts, too.
func TestThePathOfTheServerIsKnown(t *testing.T) {
	server := loadServer(t)
	server.Exec(t, "postgres", "ALTER SYSTEM SET search_path = b, public")
	completely(t, server, looks)
}
