package attack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// healthy is a database that nobody means any harm with, and that is unusual: who makes what of it.
type healthy struct{ before, bob, hers, after string }

var healthies = map[string]healthy{
	"column attach": {bob: `CREATE TABLE b.t (attach int, x text); ALTER TABLE b.t ADD PRIMARY KEY (attach); INSERT INTO b.t VALUES (1); CREATE TABLE b.u (a int REFERENCES b.t); ALTER TABLE b.t ALTER attach SET STATISTICS 300; CREATE SEQUENCE b.s; ALTER TABLE b.t ALTER attach SET DEFAULT nextval('b.s')`},
	"type begin":    {bob: `CREATE TYPE b.begin AS ENUM ('x'); CREATE FUNCTION b.f() RETURNS b.begin LANGUAGE plpgsql AS 'BEGIN RETURN ''x''; END'; CREATE TABLE b.t (a b.begin); INSERT INTO b.t VALUES ('x')`},
	"atomic begin":  {bob: `CREATE TABLE b.t (begin date, "end" date, "case" int); CREATE FUNCTION b.f() RETURNS SETOF date LANGUAGE sql BEGIN ATOMIC SELECT t.begin FROM b.t WHERE CASE WHEN true THEN t."end" > t.begin END; SELECT t.begin FROM b.t; END; INSERT INTO b.t VALUES ('2020-01-01', '2021-01-01', 1)`},
	"tenant extensions": {before: `GRANT CREATE ON DATABASE mal TO bob`, bob: `CREATE EXTENSION citext SCHEMA b; CREATE EXTENSION hstore SCHEMA b; CREATE EXTENSION pg_trgm SCHEMA b; CREATE EXTENSION btree_gist SCHEMA b; SET search_path = b, pg_catalog;
		CREATE TABLE b.t (c citext PRIMARY KEY, h hstore DEFAULT 'a=>1', r tstzrange, n int, CHECK (c <> 'x'), EXCLUDE USING gist (n WITH =, r WITH &&)); INSERT INTO b.t VALUES ('A', 'b=>2', '[2020-01-01,2020-01-02)', 1);
		CREATE INDEX ON b.t USING gin (c gin_trgm_ops); CREATE INDEX ON b.t ((h -> 'a')) WHERE h ? 'a'; CREATE TABLE b.u (c citext REFERENCES b.t); CREATE DOMAIN b.mail AS citext CHECK (VALUE ~ '@'); CREATE TABLE b.w (m b.mail, g text GENERATED ALWAYS AS (lower(m::text)) STORED); INSERT INTO b.w VALUES ('a@B'); CREATE MATERIALIZED VIEW b.m AS SELECT c || 'x' AS c FROM b.t`},
	"tenant extensions mallory": {hers: `CREATE EXTENSION citext SCHEMA hers; SET search_path = hers, pg_catalog; CREATE TABLE hers.t (c citext CHECK (c <> 'x')); INSERT INTO hers.t VALUES ('a'); GRANT SELECT, REFERENCES ON hers.t TO bob; CREATE UNIQUE INDEX ON hers.t (c)`, bob: ``,
		after: `SET ROLE bob; CREATE TABLE b.t (c hers.citext DEFAULT 'q', d text GENERATED ALWAYS AS ('x'::hers.citext::text) STORED); INSERT INTO b.t VALUES ('a')`},
	"rls": {bob: `CREATE TABLE b.t (id int, who name DEFAULT current_user); INSERT INTO b.t SELECT generate_series(1, 10); ALTER TABLE b.t ENABLE ROW LEVEL SECURITY; ALTER TABLE b.t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON b.t USING (who = current_user AND length(who) > 0); CREATE FUNCTION b.cnt() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM b.t'; CREATE MATERIALIZED VIEW b.m AS SELECT count(*) FROM b.t`},
	"partitions": {bob: `CREATE FUNCTION b.h(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length($1)'; CREATE TABLE b.t (k text, d date NOT NULL, n int CHECK (n > 0), g text GENERATED ALWAYS AS (k || 'x') STORED) PARTITION BY RANGE (d); CREATE TABLE b.t1 PARTITION OF b.t FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY HASH (k); CREATE TABLE b.t10 PARTITION OF b.t1 FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE b.t11 PARTITION OF b.t1 FOR VALUES WITH (MODULUS 2, REMAINDER 1); CREATE TABLE b.td PARTITION OF b.t DEFAULT;
		INSERT INTO b.t SELECT 'k' || i, '2020-06-01'::date + i * 10, i FROM generate_series(1, 100) i; ALTER TABLE b.t ADD PRIMARY KEY (k, d); CREATE INDEX ON b.t (b.h(k)) WHERE n > 5; CREATE TABLE b.f (k text, d date, FOREIGN KEY (k, d) REFERENCES b.t); INSERT INTO b.f SELECT k, d FROM b.t; CREATE FUNCTION b.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER tr AFTER INSERT ON b.t FOR EACH ROW WHEN (new.n > 3) EXECUTE FUNCTION b.fire(); ALTER TABLE b.t1 DISABLE TRIGGER tr`},
	"subpart expression": {bob: `CREATE FUNCTION b.h(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length($1)'; CREATE TABLE b.t (k text, d date) PARTITION BY RANGE (d); CREATE TABLE b.t1 PARTITION OF b.t FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY LIST (b.h(k)); CREATE TABLE b.t10 PARTITION OF b.t1 DEFAULT; INSERT INTO b.t VALUES ('a', '2020-02-02'); CREATE INDEX ON b.t (d); CREATE FUNCTION b.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER tr AFTER INSERT ON b.t FOR EACH ROW EXECUTE FUNCTION b.fire(); CREATE STATISTICS b.s ON (b.h(k)), d FROM b.t10`},
	"domains ranges":     {bob: `CREATE FUNCTION b.ok(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 <> ''''; END'; CREATE DOMAIN b.d AS text DEFAULT 'z' CHECK (b.ok(VALUE)); CREATE DOMAIN b.dd AS b.d[] CHECK (cardinality(VALUE) < 5); CREATE FUNCTION b.td(date, date) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT ($1 - $2)::float8'; CREATE TYPE b.dr AS RANGE (subtype = date, subtype_diff = b.td, multirange_type_name = b.drm); CREATE TYPE b.comp AS (a b.d, r b.dr); CREATE TABLE b.t (a b.d, c b.comp DEFAULT ROW('q', '[2020-01-01,2020-02-01)'), e b.dd DEFAULT '{x,y}', m b.drm, EXCLUDE USING gist (((c).r) WITH &&)); INSERT INTO b.t VALUES ('x'); ALTER DOMAIN b.d ADD CONSTRAINT nv CHECK (length(VALUE) < 100) NOT VALID; CREATE FUNCTION b.f(x b.d DEFAULT 'k', y b.comp DEFAULT ROW('w', NULL)) RETURNS b.d LANGUAGE sql RETURN x`},
	"circle rules":       {bob: `CREATE TABLE b.t (id int PRIMARY KEY, v text); INSERT INTO b.t VALUES (1, 'a'); CREATE VIEW b.v AS SELECT id, v FROM b.t GROUP BY id; CREATE FUNCTION b.fv() RETURNS SETOF b.v LANGUAGE sql STABLE AS 'SELECT * FROM b.v'; CREATE VIEW b.w AS SELECT * FROM b.fv(); CREATE OR REPLACE VIEW b.v AS SELECT id, v FROM b.t GROUP BY id; CREATE RULE r AS ON INSERT TO b.w DO INSTEAD INSERT INTO b.t VALUES (new.id, new.v) RETURNING id, v; CREATE RULE up AS ON UPDATE TO b.w WHERE new.v <> 'x' DO ALSO NOTHING; CREATE VIEW b.rec WITH (security_barrier) AS WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 5) SELECT n FROM x; CREATE VIEW b.co AS SELECT * FROM b.t WHERE id > 0 WITH CASCADED CHECK OPTION`},
	"event lo comments": {before: `CREATE FUNCTION public.evt() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no ddl''; END'; `, bob: `CREATE TABLE b.t (a int GENERATED BY DEFAULT AS IDENTITY (START 10), b bigserial, c oid); COMMENT ON TABLE b.t IS 'it''s; -- $$ "x" \.'; COMMENT ON COLUMN b.t.a IS E'new\nline\\'; INSERT INTO b.t (c) VALUES (lo_from_bytea(4242, 'hello')); COMMENT ON LARGE OBJECT 4242 IS 'lo'; GRANT SELECT ON LARGE OBJECT 4242 TO mallory; CREATE COLLATION b.coll (provider = icu, locale = 'de'); CREATE TEXT SEARCH DICTIONARY b.dict (TEMPLATE = simple, stopwords = 'english'); CREATE TEXT SEARCH CONFIGURATION b.cfg (COPY = english); ALTER TEXT SEARCH CONFIGURATION b.cfg ALTER MAPPING FOR asciiword WITH b.dict; CREATE TABLE b.docs (t text COLLATE b.coll, v tsvector GENERATED ALWAYS AS (to_tsvector('b.cfg', t)) STORED); INSERT INTO b.docs VALUES ('the cat'); CREATE INDEX ON b.docs USING gin (v); CREATE OPERATOR b.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq); CREATE CAST (b.docs AS text) WITH INOUT; CREATE AGGREGATE b.agg(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0'); COMMENT ON AGGREGATE b.agg(int) IS 'x'; CREATE STATISTICS b.st (dependencies) ON a, b FROM b.t; COMMENT ON STATISTICS b.st IS 'x'; ALTER DEFAULT PRIVILEGES IN SCHEMA b GRANT SELECT ON TABLES TO mallory`,
		after: `COMMENT ON SCHEMA b IS 'x'; CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION public.evt(); ALTER EVENT TRIGGER et ENABLE ALWAYS`},
	"superuser and fdw":      {before: `CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1'); GRANT USAGE ON FOREIGN SERVER s TO bob; CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'x', password 'y')`, bob: `CREATE FOREIGN TABLE b.ft (a int CHECK (a > 0), g int DEFAULT 3) SERVER s; CREATE TABLE b.p (a int, g int) PARTITION BY RANGE (a); CREATE FOREIGN TABLE b.pf PARTITION OF b.p FOR VALUES FROM (0) TO (9) SERVER s; CREATE TABLE b.pl PARTITION OF b.p DEFAULT; INSERT INTO b.p VALUES (10, 1); CREATE INDEX ON b.pl (a)`},
	"inherit multi":          {bob: `CREATE TABLE b.base (id serial, made timestamptz DEFAULT now(), CHECK (id > 0)); CREATE TABLE b.tag (tag text NOT NULL DEFAULT 'x' CHECK (tag <> '')); CREATE TABLE b.kid (extra int, len int GENERATED ALWAYS AS (extra * 2) STORED) INHERITS (b.base, b.tag); ALTER TABLE b.kid ALTER id SET DEFAULT 5, ALTER made DROP DEFAULT; ALTER TABLE b.base ADD CONSTRAINT ni CHECK (id < 1000) NO INHERIT NOT VALID; INSERT INTO b.base DEFAULT VALUES; INSERT INTO b.kid VALUES (1, now(), 't', 2); ALTER TABLE b.kid DROP COLUMN extra CASCADE`},
	"odd names":              {bob: `CREATE TABLE b."Select; DROP" ("a.b" int, "c""d" text DEFAULT 'x''y', "(" int CHECK ("(" > 0), "E'" text); INSERT INTO b."Select; DROP" VALUES (1, 'a', 1, 'z'); CREATE FUNCTION b."f(x)"("In" int DEFAULT 3) RETURNS int LANGUAGE sql IMMUTABLE AS $_$SELECT $1$_$; CREATE INDEX "i ON x (a)" ON b."Select; DROP" (b."f(x)"("(")); CREATE VIEW b."v AS" AS SELECT b."f(x)"(1) AS "FROM"; CREATE TABLE b.add (constraint_ int, attach int, execute int, owner int, cluster int); ALTER TABLE b.add ADD CONSTRAINT "check" CHECK (attach > 0) NOT VALID; CREATE UNIQUE INDEX cluster ON b.add (attach); ALTER TABLE b.add CLUSTER ON cluster; CREATE TRIGGER "when" BEFORE UPDATE OF attach ON b.add FOR EACH ROW WHEN (old.attach <> new.attach) EXECUTE FUNCTION suppress_redundant_updates_trigger()`},
	"odd names2":             {bob: `CREATE TABLE b."Select; DROP" ("a.b" int, "c""d" text DEFAULT 'x''y', "(" int CHECK ("(" > 0), "E'" text); INSERT INTO b."Select; DROP" VALUES (1, 'a', 1, 'z'); CREATE FUNCTION b."f(x)"("In" int DEFAULT 3) RETURNS int LANGUAGE sql IMMUTABLE AS $_$SELECT $1$_$; CREATE INDEX "i ON x (a)" ON b."Select; DROP" (b."f(x)"("(")); CREATE VIEW b."v AS" AS SELECT b."f(x)"(1) AS "FROM"; CREATE TABLE b.add (constraint_ int, execute int, owner int, cluster int); CREATE UNIQUE INDEX cluster ON b.add (owner); ALTER TABLE b.add CLUSTER ON cluster; CREATE TRIGGER "when" BEFORE UPDATE OF owner ON b.add FOR EACH ROW WHEN (old.owner <> new.owner) EXECUTE FUNCTION suppress_redundant_updates_trigger(); ALTER TABLE b.add ALTER owner SET STORAGE PLAIN, ALTER execute SET (n_distinct = 5)`},
	"revoked begin":          {bob: `CREATE TABLE b.t (id int PRIMARY KEY, CHECK (id IN (1,2,3))); CREATE VIEW b.v AS SELECT id AS begin FROM b.t; CREATE FUNCTION b.g(begin date, "end" date) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN begin > "end" THEN 1 END; END $$; CREATE TYPE b.window AS (begin date, "end" date)`},
	"schema owner differs":   {before: `CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO bob; CREATE TYPE app.st AS ENUM ('a', 'b'); CREATE TABLE app.t (id int PRIMARY KEY, s app.st DEFAULT 'a', g int GENERATED ALWAYS AS (id * 2) STORED, CHECK (s <> 'b'::app.st)); INSERT INTO app.t VALUES (1); ALTER TABLE app.t OWNER TO bob; ALTER TYPE app.st OWNER TO mallory; CREATE VIEW app.v AS SELECT 'a'::app.st AS s FROM app.t; ALTER VIEW app.v OWNER TO mallory; GRANT SELECT ON app.t TO mallory; CREATE INDEX ON app.t ((s = 'a'::app.st)) WHERE s = 'a'::app.st; CREATE POLICY p ON app.t USING (s = 'a'::app.st)`},
	"check revoked app role": {before: `CREATE SCHEMA app AUTHORIZATION bob; SET ROLE bob; CREATE FUNCTION app.luhn(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT length($1) > 3'; CREATE TABLE app.cards (n text CHECK (app.luhn(n))); INSERT INTO app.cards VALUES ('1234'); RESET ROLE; REVOKE ALL ON SCHEMA app FROM bob; ALTER SCHEMA app OWNER TO postgres; GRANT USAGE ON SCHEMA app TO bob`},
	"procedures transition":  {bob: `CREATE TABLE b.t (a int); CREATE TABLE b.log (n bigint); CREATE FUNCTION b.tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO b.log SELECT count(*) FROM nt; RETURN NULL; END'; CREATE TRIGGER st AFTER INSERT ON b.t REFERENCING NEW TABLE AS nt FOR EACH STATEMENT EXECUTE FUNCTION b.tf(); CREATE CONSTRAINT TRIGGER ct AFTER INSERT ON b.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.a > 1) EXECUTE FUNCTION b.tf(); DROP TRIGGER ct ON b.t; CREATE PROCEDURE b.p(a int DEFAULT 1, INOUT x b.t DEFAULT ROW(1)::b.t) LANGUAGE plpgsql AS 'BEGIN END'; CREATE FUNCTION b.atom(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC INSERT INTO b.t VALUES (x); SELECT CASE WHEN x > 1 THEN (SELECT max(a) FROM b.t) ELSE 0 END; END; INSERT INTO b.t VALUES (1), (2)`},
}

// Unusual databases come back as they were, without --trust-content.
func TestUnusualDatabasesComeBack(t *testing.T) {
	for name, c := range healthies {
		t.Run(name, func(t *testing.T) {
			server := loadServer(t)
			as(t, server, "postgres", `CREATE SCHEMA b AUTHORIZATION bob; ALTER ROLE bob LOGIN; GRANT CREATE ON SCHEMA public TO bob`)
			as(t, server, "mallory", `CREATE SCHEMA hers; GRANT USAGE ON SCHEMA hers TO bob`)
			for _, step := range []struct{ role, sql string }{{"postgres", c.before}, {"bob", c.bob}, {"mallory", c.hers}, {"postgres", c.after}} {
				if step.sql != "" {
					as(t, server, step.role, step.sql)
				}
			}
			for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
				config := loadConfig(t, server, format)
				manifest := loadDump(t, config)
				if err := loadBackup(t, config, manifest, "guarded", false); err != nil {
					t.Errorf("%s: restore: %v\n%s", format, err, postgres.Words(err))
					wantNoLogins(t, server)
					continue
				}
				wantNoLogins(t, server)
				if diff := cmp.Diff(dumpOf(t, server, "mal"), dumpOf(t, server, "guarded")); diff != "" {
					t.Errorf("%s: pg_dump (-before +after):\n%.2500s", format, diff)
				}
				server.DropDatabase(t, "guarded")
			}
		})
	}
}
