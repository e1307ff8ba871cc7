package attack_test

import "strings"

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
	{"array-of-domain literal in a default", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TABLE here.t (a here.d[] DEFAULT '{1}', b int); INSERT INTO here.t VALUES ('{1}', 1)`},
	{"composite literal in a view", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TYPE here.pair AS (n int, d here.d); CREATE VIEW here.v AS SELECT '(1,2)'::here.pair AS p`},
	{"composite literal in a function default", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TYPE here.pair AS (n int, d here.d); CREATE FUNCTION here.f(p here.pair DEFAULT '(1,2)'::here.pair) RETURNS int LANGUAGE sql AS 'SELECT 1'`},
	{"literal in a policy", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TABLE here.t (a int); CREATE POLICY p ON here.t USING ('{1}'::here.d[] IS NOT NULL)`},
	{"literal in an index", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TABLE here.t (a int); CREATE INDEX ON here.t (a) WHERE ('{1}'::here.d[] IS NOT NULL)`},
	{"literal in a trigger", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TABLE here.t (a int); CREATE FUNCTION here.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER g BEFORE INSERT ON here.t FOR EACH ROW WHEN ('{1}'::here.d[] IS NOT NULL) EXECUTE FUNCTION here.fire()`},
	{"row trigger on partitions with a constant part", `CREATE TABLE here.t (a int) PARTITION BY RANGE ((a + hers.seize('TRAP', 1))); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10); INSERT INTO here.t VALUES (1);
		CREATE FUNCTION here.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER g AFTER INSERT ON here.t FOR EACH ROW EXECUTE FUNCTION here.fire()`},
	{"foreign key from partitions with a constant part", `CREATE TABLE here.k (a int PRIMARY KEY); INSERT INTO here.k VALUES (1); CREATE TABLE here.t (a int REFERENCES here.k) PARTITION BY RANGE ((a + hers.seize('TRAP', 1))); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10); INSERT INTO here.t VALUES (1)`},
	{"statistics with a constant part and a foreign key", `CREATE TABLE here.k (a int PRIMARY KEY); INSERT INTO here.k VALUES (1); CREATE TABLE here.t (a int REFERENCES here.k); INSERT INTO here.t VALUES (1); CREATE STATISTICS here.s ON (a + hers.seize('TRAP', 1)) FROM here.t`},
	{"cast in a generated column, with a storage", `CREATE TYPE here.e AS ENUM ('x'); CREATE FUNCTION here.ef(here.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring('TRAP'); RETURN 'x'; END $$;
		CREATE CAST (here.e AS text) WITH FUNCTION here.ef(here.e) AS IMPLICIT; CREATE TABLE here.t (a text, b text GENERATED ALWAYS AS (('x'::here.e)::text) STORED); ALTER TABLE here.t ALTER a SET STORAGE EXTERNAL; INSERT INTO here.t VALUES ('x')`},
	{"literal in a check", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TABLE here.t (a int CHECK ('{1}'::here.d[] IS NOT NULL)); INSERT INTO here.t VALUES (1)`},
	{"range literal", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TYPE here.r AS RANGE (subtype = here.d); CREATE TABLE here.t (a here.r DEFAULT '[1,2)'); INSERT INTO here.t VALUES ('[1,2)')`},
	{"rule", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TABLE here.t (a int); CREATE RULE r AS ON INSERT TO here.t WHERE ('{1}'::here.d[] IS NOT NULL) DO ALSO NOTHING`},
	{"statistics literal", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TABLE here.t (a int); CREATE STATISTICS here.s ON (a + array_length('{1}'::here.d[], 1)) FROM here.t`},
	{"standard sql body", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE FUNCTION here.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 WHERE '{1}'::here.d[] IS NOT NULL; END`},
	{"matview literal", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE MATERIALIZED VIEW here.m AS SELECT '{1}'::here.d[] AS a`},
	{"enabled always trigger on partitions", `CREATE TABLE here.t (a int) PARTITION BY RANGE ((a + hers.seize('TRAP', 1))); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10);
		CREATE FUNCTION here.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER g AFTER INSERT ON here.t FOR EACH ROW EXECUTE FUNCTION here.fire(); ALTER TABLE here.t ENABLE ALWAYS TRIGGER g`},
	{"generated column, with a storage", `CREATE TABLE here.t (a text, b int GENERATED ALWAYS AS (hers.seize('TRAP', 1)) STORED); ALTER TABLE here.t ALTER a SET STORAGE EXTERNAL; INSERT INTO here.t VALUES ('x')`},
	{"statistics on the key table", `CREATE TABLE here.k (a int PRIMARY KEY); INSERT INTO here.k VALUES (1); CREATE TABLE here.t (a int REFERENCES here.k); INSERT INTO here.t VALUES (1); CREATE STATISTICS here.s ON (a + hers.seize('TRAP', 1)) FROM here.k`},
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
	{"a function of another owner", `GRANT USAGE ON SCHEMA hers TO bob; CREATE TABLE here.t (a int CHECK (length(bobs.fixed()) > 0 AND hers.fine('TRAP', a))); INSERT INTO here.t VALUES (1)`},
	{"weird table names", `CREATE TABLE here."t OWNER TO postgres; --
ADD CONSTRAINT" (a int CHECK (hers.fine('TRAP', a)), "GENERATED" int); INSERT INTO here."t OWNER TO postgres; --
ADD CONSTRAINT" VALUES (1); CREATE INDEX "x WHERE (" ON here."t OWNER TO postgres; --
ADD CONSTRAINT" (a)`},
	{"schema like a tail", `CREATE SCHEMA "TRAP.E"; CREATE TABLE "TRAP.E"."a.""b" (a int, b int GENERATED ALWAYS AS (hers.seize('TRAP', a)) STORED); INSERT INTO "TRAP.E"."a.""b" VALUES (1)`},
	{"ident on generated", `CREATE TABLE here.t (id int GENERATED ALWAYS AS IDENTITY, s serial, a int DEFAULT 3, b int GENERATED ALWAYS AS (hers.seize('TRAP', a)) STORED, PRIMARY KEY (id)); INSERT INTO here.t(a) VALUES (1); COMMENT ON TABLE here.t IS 'x; ALTER ROLE mallory SUPERUSER'; ALTER TABLE here.t CLUSTER ON t_pkey`},
	{"cast in view by assignment", `CREATE TYPE here.e AS ENUM ('x'); CREATE FUNCTION here.ef(here.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring('TRAP'); RETURN 'x'; END $$; CREATE CAST (here.e AS text) WITH FUNCTION here.ef(here.e) AS IMPLICIT; CREATE VIEW here.v AS SELECT 'x'::here.e::text AS a; CREATE TABLE here.t (a text DEFAULT 'x'::here.e); CREATE TABLE here.l (a text) PARTITION BY LIST (a); CREATE TABLE here.lp PARTITION OF here.l FOR VALUES IN ('x'::here.e::text)`},
	{"multirange, domain over composite", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE TYPE here.r AS RANGE (SUBTYPE = here.d); CREATE TYPE here.c AS (x here.r); CREATE DOMAIN here.dd AS here.c[]; CREATE TABLE here.t (a here.dd, m int); `},
	{"atomic body", `CREATE DOMAIN here.d AS int CHECK (hers.fine('TRAP', VALUE)); CREATE FUNCTION here.f() RETURNS int BEGIN ATOMIC SELECT ('{1}'::here.d[])[1]::int; END`},
	{"default part with constant check", `CREATE TABLE here.t (a int) PARTITION BY RANGE (a); CREATE TABLE here.a_def (a int CHECK (hers.fine('TRAP', 1))); ALTER TABLE here.t ATTACH PARTITION here.a_def DEFAULT; CREATE TABLE here.z PARTITION OF here.t FOR VALUES FROM (0) TO (9)`},
	{"subpart with constant check", `CREATE TABLE here.t (a int) PARTITION BY RANGE (a); CREATE TABLE here.z PARTITION OF here.t FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (a); CREATE TABLE here.a (a int CHECK (hers.fine('TRAP', 1))); ALTER TABLE here.z ATTACH PARTITION here.a FOR VALUES FROM (0) TO (5)`},
	{"constant partition expression and index", `CREATE TABLE here.t (a int) PARTITION BY RANGE ((a + hers.seize('TRAP', 1))); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10); CREATE INDEX ON here.t (a)`},
	{"constant partition expression and not valid check", `CREATE TABLE here.t (a int, b int) PARTITION BY RANGE ((a + hers.seize('TRAP', 1))); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10); ALTER TABLE here.t ALTER b SET DEFAULT 3; CREATE POLICY p ON here.t USING (true); ALTER TABLE here.t ENABLE ROW LEVEL SECURITY`},
	{"constant list partition, trigger on leaf", `CREATE TABLE here.t (a int) PARTITION BY RANGE ((a + hers.seize('TRAP', 1))); CREATE TABLE here.p PARTITION OF here.t FOR VALUES FROM (0) TO (10); ALTER TABLE here.p ALTER a SET DEFAULT 3; CREATE TABLE here.k (a int PRIMARY KEY); ALTER TABLE here.p ADD FOREIGN KEY (a) REFERENCES here.k; INSERT INTO here.k VALUES (1); INSERT INTO here.t VALUES (1)`},
}

// in is the SQL of a trap, in a schema of its own.
func (t trap) in(schema string) string {
	return "CREATE SCHEMA " + schema + ";" + strings.NewReplacer("here.", schema+".", "SCHEMA here", "SCHEMA "+schema, "TRAP", schema).Replace(t.sql)
}
