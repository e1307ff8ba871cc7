package attack_test

// plansOfText have something of a superuser's run SQL that stands in a text, by functions of the server's own and of extensions.
var plansOfText = map[string]plan{
	"superusers check by xml": {hers: `CREATE VIEW hers.v AS SELECT CASE WHEN current_database() <> 'mal' THEN hers.spring('xmlcheck') END AS a`,
		after: `CREATE TABLE public.t (a int CHECK (query_to_xml('SELECT * FROM hers.v', true, false, '') IS NOT NULL)); INSERT INTO public.t VALUES (1)`},
	"superusers check by table_to_xml": {hers: `CREATE VIEW hers.v AS SELECT CASE WHEN current_database() <> 'mal' THEN hers.spring('xmlcheck') END AS a`,
		after: `CREATE TABLE public.t (a int CHECK (table_to_xml('hers.v', true, false, '') IS NOT NULL)); INSERT INTO public.t VALUES (1)`},
	"superusers domain by xml": {hers: `CREATE VIEW hers.v AS SELECT CASE WHEN current_database() <> 'mal' THEN hers.spring('xmldomain') END AS a`,
		after: `CREATE DOMAIN public.d AS int CHECK (query_to_xml('SELECT * FROM hers.v', true, false, '') IS NOT NULL); CREATE TABLE public.t (a public.d); INSERT INTO public.t VALUES (1)`},
	"superusers view by xml": {hers: `CREATE VIEW hers.v AS SELECT CASE WHEN current_database() <> 'mal' THEN hers.spring('xmlview') END AS a`,
		after: `CREATE MATERIALIZED VIEW public.m AS SELECT query_to_xml('SELECT * FROM hers.v', true, false, '')::text AS a`},
	"superusers view by ts_stat": {hers: `CREATE VIEW hers.v AS SELECT CASE WHEN current_database() <> 'mal' AND hers.spring('tsstat') THEN 'x'::tsvector END AS a`,
		after: `CREATE MATERIALIZED VIEW public.m AS SELECT word FROM ts_stat('SELECT a FROM hers.v')`},
	"superusers view by crosstab": {before: `CREATE EXTENSION tablefunc`, hers: `CREATE VIEW hers.v AS SELECT 'a'::text AS a, 'b'::text AS b, (CASE WHEN current_database() <> 'mal' THEN hers.spring('crosstab') END)::text AS c`,
		after: `CREATE MATERIALIZED VIEW public.m AS SELECT * FROM public.crosstab('SELECT * FROM hers.v') AS x (a text, b text)`},
	"deputy in a cursor": {hers: `CREATE VIEW hers.lookhere AS SELECT CASE WHEN current_database() <> 'mal' THEN hers.spring('crosstab') END::text AS a, 'b'::text AS b, 'c'::text AS c`,
		before: `CREATE EXTENSION tablefunc`,
		after:  `CREATE FUNCTION public.chk(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM * FROM public.crosstab('SELECT * FROM hers.look' || 'here') AS x (a text, b text); RETURN true; END $$; CREATE TABLE public.t (a int CHECK (public.chk(a))); INSERT INTO public.t VALUES (1)`},
}

// plansOfDeputiesAgain have superusers' functions come to her code by something of a superuser's that stands in between.
var plansOfDeputiesAgain = map[string]plan{
	"deputy by a superusers domain": {hers: `CREATE DOMAIN hers.d AS int; CREATE FUNCTION hers.evil(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('overdomain'); END IF; RETURN true; END $$; ALTER DOMAIN hers.d ADD CHECK (hers.evil(VALUE))`,
		after: `CREATE DOMAIN public.over AS hers.d; CREATE FUNCTION public.chk(int) RETURNS boolean LANGUAGE plpgsql AS 'DECLARE x public.over; BEGIN x := $1; RETURN true; END'; CREATE TABLE public.t (a int CHECK (public.chk(a))); INSERT INTO public.t VALUES (1)`},
	"deputy by a superusers row type": {hers: `CREATE DOMAIN hers.d AS int; CREATE FUNCTION hers.evil(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('rowtype'); END IF; RETURN true; END $$; ALTER DOMAIN hers.d ADD CHECK (hers.evil(VALUE))`,
		after: `CREATE TABLE public.people (k int, email hers.d); CREATE FUNCTION public.chk(int) RETURNS boolean LANGUAGE plpgsql AS 'DECLARE x public.people; BEGIN x.email := $1; RETURN true; END'; CREATE TABLE public.t (a int CHECK (public.chk(a))); INSERT INTO public.t VALUES (1)`},
	"deputy writes a superusers table": {hers: `CREATE FUNCTION hers.evil(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('writes'); END IF; RETURN true; END $$`,
		after: `CREATE TABLE public.audit_trail (x int CHECK (hers.evil(x))); CREATE FUNCTION public.chk(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.audit_trail VALUES ($1); RETURN true; END'; CREATE TABLE public.t (a int CHECK (public.chk(a))); INSERT INTO public.t VALUES (1); TRUNCATE public.audit_trail`},
	"deputy by a view through a superusers table default": {hers: `CREATE FUNCTION hers.evil() RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('columndefault'); END IF; RETURN 1; END $$`,
		after: `CREATE TABLE public.audit_trail (x int, y int DEFAULT hers.evil()); CREATE FUNCTION public.chk(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.audit_trail VALUES ($1); RETURN true; END'; CREATE TABLE public.t (a int CHECK (public.chk(a))); INSERT INTO public.t VALUES (1); TRUNCATE public.audit_trail`},
	"deputy by a body that is no text": {hers: `CREATE FUNCTION hers.evil(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('atomic'); END IF; RETURN 1; END $$`,
		after: `CREATE FUNCTION public.inner_one(int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT hers.evil($1); END; CREATE FUNCTION public.chk(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN public.inner_one($1) > 0; END'; CREATE TABLE public.t (a int CHECK (public.chk(a))); INSERT INTO public.t VALUES (1)`},
	// A superuser's check reads a partitioned table of the superuser's that has a foreign part of hers.
	"deputy reads a tree with her foreign part": {ours: true, before: `CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO mallory;
			DO $$ BEGIN EXECUTE format('CREATE SERVER back FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname ''mal'')', split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port')); END $$; ALTER SERVER back OWNER TO mallory; CREATE TABLE public.par (a boolean) PARTITION BY LIST (a)`,
		hers: `CREATE USER MAPPING FOR PUBLIC SERVER back OPTIONS (user 'postgres');
			CREATE VIEW hers.remote AS SELECT CASE WHEN EXISTS (SELECT FROM pg_database WHERE datname = 'stock' OR datname LIKE 'pgharbor%') THEN hers.spring('foreign') END AS a;
			CREATE FOREIGN TABLE hers.ft (a boolean) SERVER back OPTIONS (schema_name 'hers', table_name 'remote')`,
		after: `ALTER TABLE public.par ATTACH PARTITION hers.ft DEFAULT; CREATE FUNCTION public.chk(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM public.par) >= 0; END'; CREATE TABLE public.t (a int CHECK (public.chk(a))); INSERT INTO public.t VALUES (1)`},
	"view of a tree with her foreign part": {ours: true, before: `CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO mallory;
			DO $$ BEGIN EXECUTE format('CREATE SERVER back FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname ''mal'')', split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port')); END $$; ALTER SERVER back OWNER TO mallory; CREATE TABLE public.par (a boolean) PARTITION BY LIST (a)`,
		hers: `CREATE USER MAPPING FOR PUBLIC SERVER back OPTIONS (user 'postgres');
			CREATE VIEW hers.remote AS SELECT CASE WHEN EXISTS (SELECT FROM pg_database WHERE datname = 'stock' OR datname LIKE 'pgharbor%') THEN hers.spring('foreign') END AS a;
			CREATE FOREIGN TABLE hers.ft (a boolean) SERVER back OPTIONS (schema_name 'hers', table_name 'remote')`,
		after: `ALTER TABLE public.par ATTACH PARTITION hers.ft DEFAULT; CREATE MATERIALIZED VIEW public.m AS SELECT * FROM public.par`},
}

// plansOfDefiners leave something in a session of nobody for functions with more rights that the same rows call; the schema of these is closed to her.
var plansOfDefiners = map[string]plan{
	"path left for a definer of a superuser": {ours: true, before: `CREATE SCHEMA admin; GRANT USAGE ON SCHEMA admin TO bob; CREATE FUNCTION admin.ok(text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN $1 = ''x''; END'`,
		hers: leavesPath, after: `SET ROLE bob; CREATE TABLE bobs.t (n trap.d, s text CHECK (admin.ok(s))); INSERT INTO bobs.t VALUES (1, 'x'); SET ROLE mallory; ALTER DOMAIN trap.d ADD CHECK (trap.path(VALUE))`},
	"path left for a definer in a domain": {ours: true, before: `CREATE SCHEMA admin; CREATE FUNCTION admin.ok(text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN $1 = ''x''; END'; CREATE DOMAIN admin.code AS text CHECK (admin.ok(VALUE))`,
		hers: leavesPath, after: `CREATE TABLE admin.t (n trap.d, s admin.code); INSERT INTO admin.t VALUES (1, 'x'); SET ROLE mallory; ALTER DOMAIN trap.d ADD CHECK (trap.path(VALUE))`},
	"path left for a definer of bobs": {ours: true, before: `REVOKE USAGE ON SCHEMA bobs FROM mallory; SET ROLE bob; CREATE FUNCTION bobs.ok(text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN $1 = ''x''; END'`,
		hers:  leavesPath,
		after: `SET ROLE bob; CREATE TABLE bobs.t (n trap.d, s text CHECK (bobs.ok(s))); INSERT INTO bobs.t VALUES (1, 'x'); SET ROLE mallory; ALTER DOMAIN trap.d ADD CHECK (trap.path(VALUE))`},
	// Temp tables of the login come before what a function of another author in the same COPY means.
	"temp table shadows a definers table": {ours: true, before: `REVOKE USAGE ON SCHEMA bobs FROM mallory; SET ROLE bob; CREATE TABLE bobs.limits (n int); INSERT INTO bobs.limits VALUES (1);
			CREATE FUNCTION bobs.ok(text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = bobs AS 'BEGIN RETURN (SELECT count(*) FROM limits) >= 0; END'`,
		hers: `CREATE DOMAIN hers.d AS int; CREATE FUNCTION hers.inview() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM hers.spring('temp'); RETURN 1; END $$;
			CREATE FUNCTION hers.look(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN CREATE TEMP VIEW limits AS SELECT hers.inview() AS n; GRANT ALL ON pg_temp.limits TO PUBLIC; END IF; RETURN true; EXCEPTION WHEN duplicate_table THEN RETURN true; END $$`,
		after: `SET ROLE bob; CREATE TABLE bobs.t (n hers.d, s text CHECK (bobs.ok(s))); INSERT INTO bobs.t VALUES (1, 'x'); SET ROLE mallory; ALTER DOMAIN hers.d ADD CHECK (hers.look(VALUE))`},
	"temp table shadows a superusers": {ours: true, before: `CREATE SCHEMA admin; CREATE TABLE admin.limits (n int); INSERT INTO admin.limits VALUES (1);
			CREATE FUNCTION admin.ok(text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = admin AS 'BEGIN RETURN (SELECT count(*) FROM limits) >= 0; END'; CREATE DOMAIN admin.code AS text CHECK (admin.ok(VALUE))`,
		hers: `CREATE DOMAIN hers.d AS int; CREATE FUNCTION hers.inview() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM hers.spring('temp'); RETURN 1; END $$;
			CREATE FUNCTION hers.look(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN CREATE TEMP VIEW limits AS SELECT hers.inview() AS n; GRANT ALL ON pg_temp.limits TO PUBLIC; END IF; RETURN true; EXCEPTION WHEN duplicate_table THEN RETURN true; END $$`,
		after: `CREATE TABLE admin.t (n hers.d, s admin.code); INSERT INTO admin.t VALUES (1, 'x'); SET ROLE mallory; ALTER DOMAIN hers.d ADD CHECK (hers.look(VALUE))`},
}

// leavesPath has the check of a domain leave a search path behind, along which an operator of hers is found.
const leavesPath = schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE FUNCTION trap.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('definer'); END IF; RETURN pg_catalog.texteq($1, $2); END $$; CREATE OPERATOR trap.= (FUNCTION = trap.eq, LEFTARG = text, RIGHTARG = text);
			CREATE FUNCTION trap.path(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM pg_catalog.set_config('search_path', 'trap, pg_catalog', false); END IF; RETURN true; END $$; CREATE DOMAIN trap.d AS int`
