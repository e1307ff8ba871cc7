package attack_test

import (
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// castTrap is an enum of mallory's with a cast that nothing names, whose function runs only for a superuser.
const castTrap = schemaTrap + `CREATE TYPE trap.e AS ENUM ('x', 'y'); CREATE FUNCTION trap.ef(trap.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
	IF current_database() <> 'mal' AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE insufficient_privilege; END IF; PERFORM hers.spring('TRAP'); RETURN 'x'; END $$;
	CREATE CAST (trap.e AS text) WITH FUNCTION trap.ef(trap.e) AS IMPLICIT;`

const castTrapPlain = schemaTrap + `CREATE TYPE trap.e AS ENUM ('x', 'y'); CREATE FUNCTION trap.ef(trap.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('TRAP'); END IF; RETURN 'x'; END $$;
	CREATE CAST (trap.e AS text) WITH FUNCTION trap.ef(trap.e) AS IMPLICIT;`

// jsonTrap is an enum with a cast to json, which to_json and its kin look for when they run: no dependency shows it.
const jsonTrap = schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE TYPE trap.e AS ENUM ('x', 'y'); CREATE FUNCTION trap.ej(trap.e) RETURNS json LANGUAGE plpgsql AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('json'); END IF; RETURN '1'; END $$;
	CREATE CAST (trap.e AS json) WITH FUNCTION trap.ej(trap.e);`

// rangeTrap is a range type that calls a function of hers.
const rangeTrap = schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE FUNCTION trap.diff(float8, float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF current_database() <> 'mal' THEN PERFORM hers.spring('range'); END IF; RETURN $1 - $2; END $$; CREATE TYPE trap.r AS RANGE (subtype = float8, subtype_diff = trap.diff);`

// plansOfTypes hide code behind types, and behind what a superuser made of her functions.
var plansOfTypes = map[string]plan{
	"cast composite generated": {hers: castTrap + `CREATE TYPE trap.c AS (f trap.e, g int); CREATE TABLE trap.t (a int, b text GENERATED ALWAYS AS (('(x,1)'::trap.c).f::text) STORED); INSERT INTO trap.t VALUES (1)`},
	"cast composite partition": {hers: castTrap + `CREATE TYPE trap.c AS (f trap.e, g int); CREATE TABLE trap.t (a text) PARTITION BY RANGE ((a || ('(x,1)'::trap.c).f::text))`},
	"cast range partition":     {hers: castTrap + `CREATE TYPE trap.r AS RANGE (subtype = trap.e); CREATE TABLE trap.t (a text) PARTITION BY RANGE ((a || lower('[x,y]'::trap.r)::text))`},
	"cast composite index":     {ours: true, hers: castTrap + `CREATE TYPE trap.c AS (f trap.e, g int); CREATE TABLE trap.t (a text); INSERT INTO trap.t VALUES ('x'); CREATE INDEX ON trap.t (a) WHERE a = ('(x,1)'::trap.c).f::text`},
	"fk domain cast":           {hers: strings.Replace(castTrap, "RAISE insufficient_privilege", "NULL", 1) + `CREATE DOMAIN trap.dd AS trap.e; CREATE TABLE trap.k (a text PRIMARY KEY); INSERT INTO trap.k VALUES ('x'); CREATE TABLE trap.t (a trap.dd REFERENCES trap.k); INSERT INTO trap.t VALUES ('x')`},
	"bobs aggregate": {hers: schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE DOMAIN trap.d AS int`,
		after: `SET ROLE bob; CREATE FUNCTION bobs.acc(trap.d, int) RETURNS trap.d LANGUAGE sql AS 'SELECT $1'; CREATE AGGREGATE bobs.agg(int) (SFUNC = bobs.acc, STYPE = trap.d, INITCOND = '1'); SET ROLE mallory; ALTER DOMAIN trap.d ADD CHECK (hers.fine('bobsagg', VALUE))`},
	"bobs whole row check": {before: `GRANT USAGE ON SCHEMA bobs TO mallory; SET ROLE bob; CREATE TABLE bobs.w (a int, b int); INSERT INTO bobs.w VALUES (1, 2)`,
		hers:  schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE FUNCTION trap.onw(bobs.w) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'`,
		after: `SET ROLE bob; ALTER TABLE bobs.w ADD CONSTRAINT ww CHECK (trap.onw(w.*)); SET ROLE mallory; CREATE OR REPLACE FUNCTION trap.onw(bobs.w) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM hers.spring(''whole''); RETURN true; END'`},
	"fdw validator":           {hers: `CREATE FUNCTION hers.v(text[], oid) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'`, after: `CREATE FOREIGN DATA WRAPPER w VALIDATOR hers.v; CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (a 'b'); SET ROLE mallory; CREATE OR REPLACE FUNCTION hers.v(text[], oid) RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''validator''); END'`},
	"cast rowtype literal":    {hers: castTrap + `CREATE TABLE trap.c (f trap.e, g int); CREATE TABLE trap.t (a text) PARTITION BY RANGE ((a || ('(x,1)'::trap.c).f::text))`},
	"cast array of composite": {hers: castTrap + `CREATE TYPE trap.c AS (f trap.e, g int); CREATE TABLE trap.t (a text) PARTITION BY RANGE ((a || (('{"(x,1)"}'::trap.c[])[1]).f::text))`},
	"superusers table cast":   {hers: strings.Replace(castTrap, "RAISE insufficient_privilege", "NULL", 1) + `CREATE TYPE trap.c AS (f trap.e, g int)`, after: `CREATE TABLE public.t (a int, b int GENERATED ALWAYS AS (length(('(x,1)'::trap.c).f::text)) STORED)`},
	"superusers operator class": {hers: `CREATE FUNCTION hers.cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($1, $2)'`, after: `CREATE OPERATOR CLASS public.ops FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 hers.cmp(int, int); CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (2), (1); CREATE INDEX ON public.t (a public.ops);
		SET ROLE mallory; CREATE OR REPLACE FUNCTION hers.cmp(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM hers.spring(''opclass''); RETURN btint4cmp($1, $2); END'`},
	"foreign key of a domain": {hers: schemaTrap + `CREATE TYPE trap.e AS ENUM ('x', 'y'); CREATE FUNCTION trap.ef(trap.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE LOG 'EF % %', current_user, session_user; PERFORM hers.spring('fkd'); RETURN 'x'; END $$;
		CREATE CAST (trap.e AS text) WITH FUNCTION trap.ef(trap.e) AS IMPLICIT; CREATE DOMAIN trap.dd AS trap.e; CREATE TABLE trap.k (a text PRIMARY KEY); INSERT INTO trap.k VALUES ('x'); CREATE TABLE trap.t (a trap.dd REFERENCES trap.k); INSERT INTO trap.t VALUES ('x')`},
	"foreign key varchar": {hers: schemaTrap + `CREATE TYPE trap.e AS ENUM ('x', 'y'); CREATE FUNCTION trap.ef(trap.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM hers.spring('fkv'); RETURN 'x'; END $$;
		CREATE CAST (trap.e AS text) WITH FUNCTION trap.ef(trap.e) AS IMPLICIT; CREATE DOMAIN trap.dd AS trap.e; CREATE TABLE trap.k (a varchar PRIMARY KEY); INSERT INTO trap.k VALUES ('x'); CREATE TABLE trap.t (a trap.dd REFERENCES trap.k); INSERT INTO trap.t VALUES ('x')`},
	"superusers index cast":                        {hers: castTrapPlain + `CREATE TYPE trap.c AS (f trap.e, g int)`, after: `CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1); CREATE INDEX ON public.t (a) WHERE a > length(('(x,1)'::trap.c).f::text)`},
	"superusers column cast":                       {hers: castTrapPlain + `CREATE TYPE trap.c AS (f trap.e, g int)`, after: `CREATE TABLE public.t (a int, c trap.c CHECK (length((c).f::text) > 0)); INSERT INTO public.t VALUES (1, '(x,1)')`},
	"superusers not valid check on children":       {hers: schemaTrap + `CREATE TABLE trap.z (a int)`, after: `CREATE TABLE public.par (a int) PARTITION BY RANGE (a); ALTER TABLE public.par ATTACH PARTITION trap.z FOR VALUES FROM (0) TO (9); ALTER TABLE public.par ADD CONSTRAINT c CHECK (a > 0) NOT VALID; SET ROLE mallory; ALTER TABLE trap.z ADD CHECK (hers.fine('children', 1))`},
	"superusers range index":                       {ours: true, hers: rangeTrap, after: `CREATE TABLE public.t (r trap.r); INSERT INTO public.t SELECT trap.r(n, n + 1) FROM generate_series(1, 2000) n; CREATE INDEX ON public.t USING gist (r)`},
	"superusers matview json":                      {hers: jsonTrap + `CREATE TABLE trap.src (e trap.e); INSERT INTO trap.src VALUES ('x')`, after: `CREATE MATERIALIZED VIEW public.m AS SELECT to_jsonb(s) AS j FROM trap.src s`},
	"superusers check json":                        {hers: jsonTrap, after: `CREATE TABLE public.t (e trap.e, CHECK (to_json(e) IS NOT NULL)); INSERT INTO public.t VALUES ('x')`},
	"bobs check json":                              {hers: jsonTrap, after: `SET ROLE bob; CREATE TABLE bobs.t (e trap.e, n int, CHECK (to_json(e) IS NOT NULL)); INSERT INTO bobs.t VALUES ('x', 1)`},
	"superusers check row json":                    {hers: jsonTrap, after: `CREATE TABLE public.t (e trap.e, n int); INSERT INTO public.t VALUES ('x', 1); ALTER TABLE public.t ADD CONSTRAINT c CHECK (row_to_json(t.*) IS NOT NULL)`},
	"an index called LARGE OBJECT":                 {formats: []string{postgres.FormatCustom}, hers: schemaTrap + `CREATE DOMAIN trap.d AS int CHECK (hers.fine('lobj', VALUE)); CREATE TABLE trap.t (a int); CREATE INDEX "LARGE OBJECT i" ON trap.t (a) WHERE ('{1}'::trap.d[] IS NOT NULL); SELECT lo_create(555)`},
	"statistics called LARGE OBJECT":               {formats: []string{postgres.FormatCustom}, hers: schemaTrap + `CREATE DOMAIN trap.d AS int CHECK (hers.fine('lobjs', VALUE)); CREATE TABLE trap.t (a int); CREATE STATISTICS trap."LARGE OBJECT s" ON (a + array_length('{1}'::trap.d[], 1)) FROM trap.t`},
	"bobs partition of her domain":                 {ours: true, hers: schemaTrap + `CREATE DOMAIN trap.d AS int; GRANT USAGE ON SCHEMA trap TO PUBLIC`, after: `SET ROLE bob; CREATE TABLE bobs.par (a trap.d) PARTITION BY LIST (a); CREATE TABLE bobs.par1 PARTITION OF bobs.par FOR VALUES IN (1); SET ROLE mallory; ALTER DOMAIN trap.d ADD CHECK (current_database() = 'mal' OR hers.fine('part', VALUE)) NOT VALID`},
	"bobs domain over hers":                        {hers: schemaTrap + `CREATE DOMAIN trap.d AS int; GRANT USAGE ON SCHEMA trap TO PUBLIC`, after: `SET ROLE bob; CREATE DOMAIN bobs.dd AS trap.d DEFAULT 1 CHECK (VALUE > 0); CREATE TABLE bobs.dt (a bobs.dd DEFAULT 2, b int GENERATED ALWAYS AS (1) STORED); INSERT INTO bobs.dt VALUES (3); CREATE FUNCTION bobs.df(a bobs.dd DEFAULT 3) RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER TABLE bobs.dt ADD CONSTRAINT nn CHECK (a::int > 0) NOT VALID; CREATE INDEX ON bobs.dt (a); SET ROLE mallory; ALTER DOMAIN trap.d ADD CHECK (current_database() = 'mal' OR hers.fine('over', VALUE))`},
	"bobs function with a constant of a composite": {hers: castTrapPlain + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE TYPE trap.c AS (f trap.e, g int)`, after: `SET ROLE bob; CREATE POLICY p ON bobs.ledger USING (n > length(('(x,1)'::trap.c).f::text)); CREATE TABLE bobs.cc (a int CHECK (a > length(('(x,1)'::trap.c).f::text) - 5)); INSERT INTO bobs.cc VALUES (1)`},
}
