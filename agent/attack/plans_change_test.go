package attack_test

import (
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// plansOfChange change what was looked at before it is used, or put something in its place.
var plansOfChange = map[string]plan{
	"analyze path bob": {ours: true, before: `GRANT CREATE ON SCHEMA public TO mallory; ALTER ROLE bob SET search_path = bobs; SET ROLE bob; SET search_path = bobs; CREATE FUNCTION bobs.norm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE FUNCTION bobs.f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN norm($1); END'; CREATE TABLE bobs.t (a int); INSERT INTO bobs.t SELECT generate_series(1, 100); CREATE INDEX ON bobs.t (bobs.f(a))`,
		hers: `CREATE FUNCTION public.norm(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM hers.spring(''analyze''); RETURN 1; END'`},
	"analyze path superuser": {ours: true, before: `GRANT CREATE ON SCHEMA public TO mallory; CREATE SCHEMA app; CREATE FUNCTION app.norm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE FUNCTION app.f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN norm($1); END'; CREATE TABLE app.t (a int); INSERT INTO app.t SELECT generate_series(1, 100); CREATE STATISTICS app.s ON (app.f(a)) FROM app.t`,
		hers: `CREATE FUNCTION public.norm(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM hers.spring(''analyze''); RETURN 1; END'`},
	"view in the place of a table": {ours: true, before: `GRANT CREATE ON SCHEMA bobs TO mallory`, hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE DOMAIN trap.d AS int;
			CREATE FUNCTION trap.asbob() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''view''); RETURN 1; END';
			CREATE FUNCTION trap.swap(n int) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN IF current_database() <> 'mal' AND to_regclass('bobs.t') IS NULL THEN
				CREATE VIEW bobs.t AS SELECT trap.asbob() AS n; GRANT SELECT ON bobs.t TO bob; PERFORM bobs.total(); DROP VIEW bobs.t; END IF; RETURN true; END $$;`,
		after: `SET ROLE bob; CREATE TABLE bobs.t (n trap.d); INSERT INTO bobs.t VALUES (1); CREATE FUNCTION bobs.total() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS 'BEGIN RETURN (SELECT sum(n) FROM bobs.t); END'; SET ROLE mallory; ALTER DOMAIN trap.d ADD CHECK (trap.swap(VALUE))`},
	"composite race superuser": raceOf("postgres"),
	"composite race bob":       raceOf("bob"),
	"callable later": {ours: true, before: `DROP FUNCTION bobs.secret(); GRANT CREATE ON SCHEMA public TO mallory; CREATE FUNCTION public.run(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; RETURN true; END'; CREATE SCHEMA app; CREATE FUNCTION app.norm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE FUNCTION app.f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN norm($1); END'; CREATE TABLE app.t (a int); INSERT INTO app.t SELECT generate_series(1, 100); SET search_path = app; CREATE INDEX ON app.t (app.f(a))`,
		hers: `ALTER DATABASE mal SET search_path = public, app; DROP FUNCTION hers.fine, hers.seize, hers.spring; CREATE SCHEMA trap; CREATE TABLE trap.t (a int CHECK (a < 0 OR public.run($x$DO $do$ BEGIN IF current_database() <> 'mal' AND to_regproc('public.norm') IS NULL THEN CREATE FUNCTION public.norm(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.norm_v(); END'; CREATE FUNCTION public.norm_v() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN ALTER ROLE mallory SET trap.callable = true; RETURN 1; END'; END IF; END $do$ $x$))); INSERT INTO trap.t VALUES (1)`},
	"race primary key": {fails: true, hers: schemaTrap + `CREATE TABLE trap.z (a int NOT NULL, b int); INSERT INTO trap.z VALUES (1); ALTER TABLE trap.z ADD CONSTRAINT z_pkey PRIMARY KEY (a); CREATE TABLE trap.m (a int); INSERT INTO trap.m SELECT generate_series(1, 500000); ALTER TABLE trap.m ADD CONSTRAINT m_pkey PRIMARY KEY (a);
			CREATE TABLE trap.a (a int, b int); INSERT INTO trap.a VALUES (1, 2);
			CREATE FUNCTION trap.arm(n int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN ALTER TABLE trap.z ALTER a DROP NOT NULL; ALTER TABLE trap.z ADD CONSTRAINT planted CHECK (hers.fine('racepk', 1) AND coalesce(b, 1) > 0); PERFORM pg_sleep(3); END IF; RETURN true; END $$;
			CREATE FUNCTION trap.ona(trap.a) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.arm(1); END $$; ALTER TABLE trap.a ADD CONSTRAINT a_first CHECK (trap.ona(a.*))`},
	"table becomes a view": {formats: []string{postgres.FormatPlain}, hers: schemaTrap + `CREATE DOMAIN trap.evil AS int CHECK (hers.fine('becomesview', VALUE)); CREATE TABLE trap.z (n int); INSERT INTO trap.z VALUES (1); CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';` +
		arm("trap.arm", `IF (SELECT relkind FROM pg_class WHERE oid = 'trap.z'::regclass) = 'r' THEN DROP TABLE trap.z; CREATE VIEW trap.z AS SELECT 1::trap.evil AS n; CREATE TRIGGER i INSTEAD OF INSERT ON trap.z FOR EACH ROW EXECUTE FUNCTION trap.fire(); ALTER VIEW trap.z OWNER TO mallory; END IF;`) +
		`CREATE TABLE trap.a (n int CHECK (trap.arm(n) > 0)); INSERT INTO trap.a VALUES (1)`},
	"table becomes a view before": {hers: schemaTrap + `CREATE DOMAIN trap.evil AS int CHECK (hers.fine('becomesview', VALUE)); CREATE TABLE trap.a (n int); INSERT INTO trap.a VALUES (1); CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';` +
		arm("trap.arm", `IF (SELECT relkind FROM pg_class WHERE oid = 'trap.a'::regclass) = 'r' THEN DROP TABLE trap.a; CREATE VIEW trap.a AS SELECT 1::trap.evil AS n; CREATE TRIGGER i INSTEAD OF INSERT ON trap.a FOR EACH ROW EXECUTE FUNCTION trap.fire(); ALTER VIEW trap.a OWNER TO mallory; END IF;`) +
		`CREATE TABLE trap.z (n int) PARTITION BY RANGE ((n + trap.arm(1)))`},
	"race type before a key": {hers: schemaTrap + `CREATE TABLE trap.z (a int NOT NULL, b int); INSERT INTO trap.z VALUES (1); ALTER TABLE trap.z ADD CONSTRAINT z_u UNIQUE (a); CREATE TABLE trap.m (a int); INSERT INTO trap.m SELECT generate_series(1, 500000); ALTER TABLE trap.m ADD CONSTRAINT m_pkey PRIMARY KEY (a);
			CREATE TABLE trap.a (a int, b int); INSERT INTO trap.a VALUES (1, 2);
			CREATE FUNCTION trap.arm(n int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN ALTER TABLE trap.z ADD COLUMN v int GENERATED ALWAYS AS (hers.seize('racecol', 1)) STORED; PERFORM pg_sleep(3); END IF; RETURN true; END $$;
			CREATE FUNCTION trap.ona(trap.a) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.arm(1); END $$; ALTER TABLE trap.a ADD CONSTRAINT a_first CHECK (trap.ona(a.*))`},
	"matview becomes a table": {ours: true, hers: schemaTrap + `CREATE MATERIALIZED VIEW trap.m AS SELECT 1 AS n; CREATE TABLE trap.x (a int, b int); INSERT INTO trap.x VALUES (1, 2); CREATE FUNCTION trap.onx(trap.x) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.arm(1) > 0; END $$;` +
		arm("trap.arm", `DROP MATERIALIZED VIEW trap.m; CREATE MATERIALIZED VIEW trap.m AS SELECT hers.spring('mv') AS n WITH NO DATA; ALTER MATERIALIZED VIEW trap.m OWNER TO mallory;`) + `ALTER TABLE trap.x ADD CONSTRAINT c CHECK (trap.onx(x.*))`},
	"source of a superusers matview": {hers: schemaTrap + `CREATE TABLE trap.src (n int); INSERT INTO trap.src VALUES (1); CREATE TABLE trap.x (a int, b int); INSERT INTO trap.x VALUES (1, 2); CREATE FUNCTION trap.onx(trap.x) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.arm(1) > 0; END $$; CREATE FUNCTION trap.v() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''src''); RETURN 1; END';` +
		arm("trap.arm", `DELETE FROM trap.src; EXECUTE 'CREATE RULE "_RETURN" AS ON SELECT TO trap.src DO INSTEAD SELECT trap.v() AS n';`) + `ALTER TABLE trap.x ADD CONSTRAINT c CHECK (trap.onx(x.*))`,
		after: `CREATE MATERIALIZED VIEW public.m AS SELECT n FROM trap.src`},
	"foreign key race": {hers: schemaTrap + `CREATE TABLE trap.k (a int PRIMARY KEY); INSERT INTO trap.k VALUES (1); CREATE TABLE trap.t (a int REFERENCES trap.k); INSERT INTO trap.t VALUES (1); CREATE TABLE trap.x (a int, b int); INSERT INTO trap.x VALUES (1, 2); CREATE FUNCTION trap.onx(trap.x) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.arm(1) > 0; END $$;` +
		arm("trap.arm", `CREATE STATISTICS trap.planted ON (a + hers.seize('fkrace', 1)) FROM trap.t;`) + `ALTER TABLE trap.x ADD CONSTRAINT c CHECK (trap.onx(x.*))`},
}

// raceOf is a table of a role with a column of mallory's composite type. A value of an enum that comes late lets the session that
// loads it hear of what others have changed.
func raceOf(owner string) plan {
	return plan{ours: true, formats: []string{postgres.FormatCustom}, hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE TYPE trap.c AS (a int, b int); CREATE DOMAIN trap.evil AS int CHECK (hers.fine('composite', VALUE));
		CREATE FUNCTION trap.arm(n int) RETURNS int LANGUAGE plpgsql AS $arm$ BEGIN IF current_database() <> 'mal' AND n = 1 THEN FOR i IN 1..3000 LOOP
				IF EXISTS (SELECT FROM pg_catalog.pg_locks WHERE relation = 'public.big'::regclass AND mode = 'AccessExclusiveLock' AND granted) THEN PERFORM pg_sleep(0.02); ALTER TYPE trap.c DROP ATTRIBUTE b; ALTER TYPE trap.c ADD ATTRIBUTE b trap.evil; EXIT; END IF; PERFORM pg_sleep(0.001); END LOOP; END IF; RETURN 1; END $arm$;
		CREATE TABLE trap.a (n int CHECK (trap.arm(n) > 0), f text); INSERT INTO trap.a SELECT n, repeat(md5(n::text), 100) FROM generate_series(1, 300) n`,
		after: `CREATE TYPE public.st AS ENUM ('first', 'last'); CREATE TABLE public.big (k text, st public.st, c trap.c); INSERT INTO public.big SELECT repeat(md5(n::text), 100), CASE WHEN n < 39990 THEN 'first' ELSE 'last' END::public.st, ROW(1, 2)::trap.c FROM generate_series(1, 40000) n; ALTER TABLE public.big OWNER TO ` + owner}
}
