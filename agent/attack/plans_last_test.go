package attack_test

import "github.com/pgharbor/pgharbor/agent/postgres"

// guardedRun is a function of a superuser's that runs anything as one, and that nothing guards but its schema.
const guardedRun = `CREATE SCHEMA admin; CREATE FUNCTION admin.run(q text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN EXECUTE q; RETURN true; END';
	CREATE TYPE admin.e AS ENUM ('x'); GRANT USAGE ON SCHEMA admin TO mallory;`

// callGuarded is what calls it, where that is let.
const callGuarded = `CREATE FUNCTION trap.call() RETURNS boolean LANGUAGE plpgsql AS $call$ BEGIN IF current_database() <> 'mal' THEN
	PERFORM admin.run('SELECT hers.spring(''lent'')'); END IF; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $call$;`

// leavePath has the login's session find her operators before PostgreSQL's own from then on.
var leavePath = arm("trap.arm", `PERFORM pg_catalog.set_config('search_path', 'trap, pg_catalog', false);`) + `CREATE TABLE trap.a (n int) PARTITION BY RANGE ((n + trap.arm(1)));`

// plansOfLast use what code leaves behind in a session or beside an object, and what superusers made of her functions.
var plansOfLast = map[string]plan{
	"a path left in a session that is lent rights": {ours: true, before: guardedRun,
		hers: schemaTrap + callGuarded + `CREATE FUNCTION trap.plus(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM trap.call(); RETURN pg_catalog.int4pl($1, $2); END';` + leavePath +
			`CREATE OPERATOR trap.+ (FUNCTION = trap.plus, LEFTARG = int, RIGHTARG = int); CREATE TABLE trap.t (e admin.e, n int) PARTITION BY RANGE ((n + (1 + 1)))`,
		after: `REVOKE USAGE ON SCHEMA admin FROM mallory`},
	"a path left in a session that loads rows": {ours: true, before: guardedRun, formats: []string{postgres.FormatPlain},
		hers: schemaTrap + callGuarded + `CREATE FUNCTION trap.eq(oid, oid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM trap.call(); RETURN pg_catalog.oideq($1, $2); END';` + leavePath +
			`CREATE OPERATOR trap.= (FUNCTION = trap.eq, LEFTARG = oid, RIGHTARG = oid)`,
		after: `REVOKE USAGE ON SCHEMA admin FROM mallory; CREATE TABLE admin.t (a int); INSERT INTO admin.t VALUES (1); ALTER TABLE admin.t OWNER TO mallory`},
	"smuggled into a schema": {ours: true, hers: schemaTrap + `CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			EXECUTE format('CREATE SEQUENCE %1$I.smuggled; ALTER SEQUENCE %1$I.smuggled OWNED BY %1$I.tt.n', session_user); RETURN new; END $$;` +
		arm("trap.arm", `CREATE TABLE trap.queue (n int); CREATE CONSTRAINT TRIGGER late AFTER INSERT ON trap.queue DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trap.fire(); INSERT INTO trap.queue VALUES (1);`),
		after: `CREATE SCHEMA closed; GRANT USAGE ON SCHEMA closed TO mallory; CREATE TABLE closed.tt (n int) PARTITION BY RANGE ((n + trap.arm(1))); ALTER TABLE closed.tt OWNER TO mallory`,
		probe: map[string]string{"SELECT count(*) FROM pg_class WHERE relname = 'smuggled'": "0"}},
	"a language with her validator": {hers: `CREATE FUNCTION hers.val(oid) RETURNS void LANGUAGE plpgsql AS 'BEGIN IF current_database() <> ''mal'' THEN PERFORM hers.spring(''validator''); END IF; END'`,
		after: `CREATE FUNCTION public.handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'; CREATE LANGUAGE odd HANDLER public.handler VALIDATOR hers.val; CREATE FUNCTION public.f() RETURNS int LANGUAGE odd AS 'BEGIN RETURN 1; END'`},
	"a deputy that calls into a schema with a number": {hers: `CREATE SCHEMA trap2; CREATE FUNCTION trap2.ok(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN hers.spring(''number''); END'`,
		after: `CREATE FUNCTION public.chk(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN trap2.ok($1); END'; CREATE TABLE public.t (a int CHECK (public.chk(a))); INSERT INTO public.t VALUES (1)`},
	"a path of hers where rights are lent": {ours: true, before: guardedRun,
		hers: schemaTrap + callGuarded + `CREATE FUNCTION trap.same(json, json) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM trap.call(); RETURN true; END';
			CREATE OPERATOR trap.= (FUNCTION = trap.same, LEFTARG = json, RIGHTARG = json); ALTER DATABASE mal SET search_path = trap, pg_catalog; SET search_path = trap, pg_catalog;
			CREATE TABLE trap.t (e admin.e, n int) PARTITION BY RANGE ((n + ('1'::json IS DISTINCT FROM '2'::json)::int))`,
		after: `REVOKE USAGE ON SCHEMA admin FROM mallory`},
	"superusers view reads her foreign table": {before: `CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO mallory;
			DO $$ BEGIN EXECUTE format('CREATE SERVER back FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname ''mal'')', split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port')); END $$; ALTER SERVER back OWNER TO mallory`,
		hers: `CREATE USER MAPPING FOR PUBLIC SERVER back OPTIONS (user 'postgres');
			CREATE VIEW hers.v AS SELECT CASE WHEN EXISTS (SELECT FROM pg_database WHERE datname = 'stock' OR datname LIKE 'pgharbor%') THEN hers.spring('foreign') END AS a;
			CREATE FOREIGN TABLE hers.ft (a boolean) SERVER back OPTIONS (schema_name 'hers', table_name 'v')`,
		after: `CREATE MATERIALIZED VIEW public.m AS SELECT * FROM hers.ft`},
	"a deputy's schema is opened to nobody": {ours: true, before: guardedRun + `CREATE FUNCTION admin.chk(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM * FROM hers.v; RETURN true; END'`,
		hers:  schemaTrap + callGuarded + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE VIEW hers.v AS SELECT trap.call()::text AS a; GRANT SELECT ON hers.v TO PUBLIC`,
		after: `REVOKE USAGE ON SCHEMA admin FROM mallory; CREATE TABLE public.t (a int CHECK (admin.chk(a))); INSERT INTO public.t VALUES (1)`},
}
