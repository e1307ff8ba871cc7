package attack_test

// plansOfLooksAgain aim at what the superuser still runs after a look.
var plansOfLooksAgain = map[string]plan{
	"check of a domain": {hers: schemaTrap + `CREATE DOMAIN trap.d AS int; CREATE TABLE trap.t (n trap.d, k int PRIMARY KEY); INSERT INTO trap.t VALUES (1, 1);
		CREATE FUNCTION trap.ok(int, trap.d DEFAULT NULL) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
			IF current_database() <> 'mal' AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE insufficient_privilege; END IF; PERFORM hers.spring('domain'); RETURN true; END $$;
		ALTER DOMAIN trap.d ADD CONSTRAINT c CHECK (trap.ok(VALUE))`},
	"check of a superusers domain": {hers: schemaTrap + `CREATE FUNCTION trap.ok(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM hers.spring('domain'); RETURN true; END $$`,
		after: `CREATE DOMAIN public.d AS int; CREATE TABLE public.t (n public.d, k int PRIMARY KEY); INSERT INTO public.t VALUES (1, 1); CREATE FUNCTION public.ok(public.d) RETURNS boolean LANGUAGE sql AS 'SELECT true'; ALTER DOMAIN public.d ADD CONSTRAINT c CHECK (public.ok(VALUE) AND trap.ok(VALUE))`},
}
