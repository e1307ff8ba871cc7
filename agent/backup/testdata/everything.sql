-- Everything that a database can hold, as far as it can be made without other software: what a restore must bring back.
-- The roles keeper, clerk and guest exist, and the tablespace shelf.

CREATE EXTENSION hstore;
CREATE EXTENSION btree_gist WITH SCHEMA public;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION citext;
COMMENT ON EXTENSION citext IS 'case does not matter here';

CREATE SCHEMA stock AUTHORIZATION keeper;
CREATE SCHEMA "odd ""schema"".with; signs";
COMMENT ON SCHEMA stock IS 'what lies; in the ''stock''
-- and goes on';
GRANT USAGE ON SCHEMA stock TO clerk;
GRANT CREATE, USAGE ON SCHEMA public TO guest;

-- Types.
CREATE TYPE stock.size AS ENUM ('small', 'large', 'it''s huge; really', 'ü');
ALTER TYPE stock.size ADD VALUE 'medium' BEFORE 'large';
CREATE TYPE stock.place AS (shelf int, "slot no" text COLLATE "C");
CREATE DOMAIN stock.amount AS numeric(12,2) DEFAULT 1.5 NOT NULL CONSTRAINT positive CHECK (VALUE > 0);
ALTER DOMAIN stock.amount ADD CONSTRAINT small CHECK (VALUE < 1e9) NOT VALID;
CREATE FUNCTION stock.gap(double precision, double precision) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT RETURN $2 - $1;
CREATE TYPE stock.span AS RANGE (subtype = double precision, subtype_diff = stock.gap, multirange_type_name = stock.spans);
CREATE TYPE stock.shell;
CREATE TYPE stock.pair;
CREATE FUNCTION stock.pair_in(cstring) RETURNS stock.pair LANGUAGE internal IMMUTABLE STRICT AS 'int8in';
CREATE FUNCTION stock.pair_out(stock.pair) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int8out';
CREATE TYPE stock.pair (INPUT = stock.pair_in, OUTPUT = stock.pair_out, LIKE = int8, CATEGORY = 'Z', DELIMITER = ';');
COMMENT ON TYPE stock.size IS 'how large';
COMMENT ON CONSTRAINT positive ON DOMAIN stock.amount IS 'nobody owes';
GRANT USAGE ON TYPE stock.size TO clerk;
REVOKE USAGE ON TYPE stock.amount FROM PUBLIC;
ALTER TYPE stock.place OWNER TO keeper;

-- Functions of all kinds, and what is made of them.
CREATE FUNCTION stock.label(thing int, VARIADIC words text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
	COST 7 SET work_mem = '8MB' SET search_path = stock, "odd, path" AS $body$
BEGIN
	-- a $$ within, and COPY t FROM stdin;
	RETURN E'\\' || thing || array_to_string(words, ', ');
END $body$;
CREATE FUNCTION stock.doubled(int) RETURNS int LANGUAGE sql IMMUTABLE STRICT LEAKPROOF AS 'SELECT $1 * 2';
CREATE FUNCTION stock.series(n int, OUT i int, OUT t text) RETURNS SETOF record LANGUAGE sql ROWS 7 AS 'SELECT g, g::text FROM generate_series(1, n) g';
CREATE FUNCTION stock.secret() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text';
REVOKE ALL ON FUNCTION stock.secret() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stock.secret() TO clerk WITH GRANT OPTION;
CREATE PROCEDURE stock.tidy(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; COMMIT; END $$;
COMMENT ON FUNCTION stock.doubled(int) IS 'twice';
CREATE AGGREGATE stock.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '5', PARALLEL = SAFE, COMBINEFUNC = int4pl);
CREATE AGGREGATE stock.nth(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE OPERATOR stock.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = OPERATOR(stock.===), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR FAMILY stock.numbers USING btree;
CREATE OPERATOR CLASS stock.by_last_digit FOR TYPE int USING btree FAMILY stock.numbers AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE CAST (stock.place AS text) WITH INOUT AS ASSIGNMENT;
CREATE FUNCTION stock.as_int(stock.size) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT length($1::text) $$;
CREATE CAST (stock.size AS int) WITH FUNCTION stock.as_int(stock.size) AS ASSIGNMENT;
COMMENT ON CAST (stock.size AS int) IS 'its letters';
CREATE COLLATION stock.plain (LOCALE = 'C', PROVIDER = libc);
CREATE CONVERSION stock.recode FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH TEMPLATE stock.pattern (LEXIZE = dsimple_lexize, INIT = dsimple_init);
CREATE TEXT SEARCH PARSER stock.cutter (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH DICTIONARY stock.book (TEMPLATE = stock.pattern, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION stock.reading (PARSER = stock.cutter);
ALTER TEXT SEARCH CONFIGURATION stock.reading ADD MAPPING FOR word, asciiword WITH stock.book, simple;
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));
CREATE FUNCTION stock.speak() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION stock.say(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION stock.listen(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE LANGUAGE parrot HANDLER stock.speak INLINE stock.say VALIDATOR stock.listen;
COMMENT ON LANGUAGE parrot IS 'it repeats';
CREATE ACCESS METHOD pile TYPE TABLE HANDLER heap_tableam_handler;
CREATE ACCESS METHOD hedge TYPE INDEX HANDLER gisthandler;

-- Tables: every type, defaults, generated columns, identities, storage.
CREATE SEQUENCE stock.numbers AS smallint INCREMENT -3 MINVALUE -1000 MAXVALUE 500 START 400 CACHE 4 CYCLE;
SELECT nextval('stock.numbers'), nextval('stock.numbers');
CREATE UNLOGGED SEQUENCE stock.unlogged_numbers;
CREATE TABLE stock.things (
	id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 7) PRIMARY KEY,
	other int GENERATED BY DEFAULT AS IDENTITY,
	old_serial smallserial,
	number smallint DEFAULT nextval('stock.numbers'),
	size stock.size NOT NULL DEFAULT 'small',
	place stock.place,
	amount stock.amount,
	span stock.span,
	spans stock.spans,
	pair stock.pair,
	doubled int GENERATED ALWAYS AS (stock.doubled(number)) STORED,
	name text COLLATE stock.plain DEFAULT E'it''s; \\ \n' || current_user,
	"a ""quoted"" näme" citext,
	"select" text[] DEFAULT '{"a,b","c\"d",NULL}',
	grid int[][],
	tags hstore,
	CONSTRAINT "a check" CHECK (number <> 0 OR size = 'ü'),
	CONSTRAINT once UNIQUE (name) INCLUDE (size) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT no_nulls UNIQUE NULLS NOT DISTINCT (old_serial)
) WITH (fillfactor = 71, autovacuum_enabled = false, toast.autovacuum_vacuum_threshold = 123);
ALTER TABLE stock.things ALTER name SET STORAGE EXTERNAL, ALTER name SET COMPRESSION pglz, ALTER size SET STATISTICS 321, ALTER number SET (n_distinct = -0.5);
ALTER TABLE stock.things ALTER tags SET STORAGE MAIN;
ALTER TABLE stock.things DROP COLUMN grid;
ALTER TABLE stock.things ADD COLUMN late text DEFAULT 'added later';
ALTER TABLE stock.things OWNER TO keeper;
COMMENT ON TABLE stock.things IS 'all things';
COMMENT ON COLUMN stock.things."a ""quoted"" näme" IS E'a \\ column';
COMMENT ON CONSTRAINT "a check" ON stock.things IS 'checked';
GRANT SELECT, INSERT ON stock.things TO clerk;
GRANT UPDATE (name, size), SELECT ("select") ON stock.things TO guest WITH GRANT OPTION;
INSERT INTO stock.things (size, place, amount, span, spans, pair, name, "a ""quoted"" näme", tags, number)
	SELECT (enum_range(NULL::stock.size))[1 + g % 5], ROW(g, 'slot' || g)::stock.place, g + 0.25, stock.span(g, g + 1.5), stock.spans(stock.span(g, g + 1), stock.span(g + 3, g + 9)),
		g::text::stock.pair, E'thing \\ ' || g || E' \t\n\r\b\f\v \\. \\N', 'ÄÖ' || g, hstore('k' || g, E'v"\\' || g), g
	FROM generate_series(1, 500) g;
CREATE TABLE stock.every_type AS SELECT g AS id,
	(g % 2 = 0) AS a_boolean, g::smallint AS a_smallint, g * 10000000000 AS a_bigint, (g / 3.0)::real AS a_real, (g / 7.0)::double precision AS a_double,
	('NaN')::double precision AS not_a_number, '-Infinity'::numeric AS endless, (g || '.' || repeat('9', 40))::numeric AS a_numeric, g::text::money AS a_money,
	('c' || g)::char(9) AS a_char, ('v' || g)::varchar(20) AS a_varchar, 'n'::name AS a_name, 'x'::"char" AS one_char, decode(md5(g::text), 'hex') AS a_bytea,
	timestamp '2024-02-29 23:59:59.999999' + g * interval '1 day' AS a_timestamp, timestamptz '0044-03-15 12:00 BC' AS a_timestamptz, 'infinity'::date AS a_date,
	time '24:00' AS a_time, timetz '12:00+05:30' AS a_timetz, interval '-1 year 2 days 03:04:05.678' * g AS an_interval,
	point(g, -g) AS a_point, '{1,-2,3}'::line AS a_line, '[(0,0),(1,1)]'::lseg AS a_lseg, '(1,1),(0,0)'::box AS a_box, '((0,0),(1,1),(2,0))'::path AS a_path,
	'((0,0),(1,1),(2,0))'::polygon AS a_polygon, circle(point(0, 0), g) AS a_circle,
	'::ffff:10.0.0.1/120'::inet AS an_inet, '10.1.0.0/16'::cidr AS a_cidr, '08:00:2b:01:02:03'::macaddr AS a_macaddr, '08:00:2b:01:02:03:04:05'::macaddr8 AS a_macaddr8,
	B'101'::bit(3) AS a_bit, B'10101'::varbit AS a_varbit, 'fat & !cat <2> rat:AB'::tsquery AS a_tsquery, to_tsvector('english', 'the fat cats ' || g) AS a_tsvector,
	md5(g::text)::uuid AS a_uuid, xmlparse(CONTENT '<a>&amp;</a> text') AS an_xml, '{"a": [1, null, "\u00e4"]}'::json AS a_json, '{"b": {"c": 1e3}}'::jsonb AS a_jsonb,
	'$.a[*] ? (@ > 1)'::jsonpath AS a_jsonpath, int4range(g, g + 5) AS an_int4range, numrange(NULL, g) AS a_numrange, 'empty'::daterange AS a_daterange,
	tstzrange('2020-01-01', NULL, '(]') AS a_tstzrange, int8multirange(int8range(1, 3), int8range(5, 7)) AS a_multirange, '0/16B374D8'::pg_lsn AS an_lsn,
	'10:20:10,14,15'::pg_snapshot AS a_snapshot, 'stock.things'::regclass AS a_regclass, 'stock.doubled(int)'::regprocedure AS a_regprocedure, 'keeper'::regrole AS a_regrole,
	ARRAY[ARRAY['a', NULL], ARRAY['"', '\']] AS an_array, '[-1:1]={1,2,3}'::int[] AS a_shifted_array, 12345::oid AS an_oid, '(1,2)'::tid AS a_tid, 7::text::xid8 AS an_xid8
	FROM generate_series(1, 300) g;
ALTER TABLE stock.every_type ADD PRIMARY KEY (id);

-- Constraints, and rows that break those that are not valid.
CREATE TABLE stock.orders (
	id int, line int, thing bigint REFERENCES stock.things ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
	during tstzrange, room int, note text,
	PRIMARY KEY (id, line),
	CONSTRAINT one_at_a_time EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (room > 0) DEFERRABLE
);
INSERT INTO stock.orders SELECT g, 1, 100 + 7 * (g % 500), tstzrange(timestamptz '2026-01-01' + g * interval '1 day', timestamptz '2026-01-02' + g * interval '1 day'), 1 + g % 3, NULLIF(g % 5, 0)::text FROM generate_series(1, 400) g;
CREATE TABLE stock.order_notes (order_id int, line int, text text, FOREIGN KEY (order_id, line) REFERENCES stock.orders MATCH FULL ON DELETE CASCADE);
INSERT INTO stock.order_notes VALUES (1, 1, 'first'), (NULL, NULL, 'of none');
CREATE TABLE stock.strays (thing bigint, n int);
INSERT INTO stock.strays VALUES (-1, -5), (100, 5);
ALTER TABLE stock.strays ADD CONSTRAINT known FOREIGN KEY (thing) REFERENCES stock.things NOT VALID, ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
CREATE TABLE stock.tree (id int PRIMARY KEY, parent int REFERENCES stock.tree, a int, b int);
INSERT INTO stock.tree SELECT g, NULLIF(g / 2, 0), g % 10, g % 10 FROM generate_series(1, 1000) g;
CREATE TABLE stock.egg (id int PRIMARY KEY, hen int);
CREATE TABLE stock.hen (id int PRIMARY KEY, egg int REFERENCES stock.egg);
INSERT INTO stock.egg VALUES (1, 1);
INSERT INTO stock.hen VALUES (1, 1);
ALTER TABLE stock.egg ADD FOREIGN KEY (hen) REFERENCES stock.hen;

-- Indexes of each method and kind.
CREATE INDEX by_hash ON stock.things USING hash (late);
CREATE INDEX by_gin ON stock.every_type USING gin (a_jsonb jsonb_path_ops, a_tsvector);
CREATE INDEX by_gist ON stock.every_type USING gist (a_box) WITH (fillfactor = 80);
CREATE INDEX by_spgist ON stock.every_type USING spgist (a_point);
CREATE INDEX by_brin ON stock.tree USING brin (id) WITH (pages_per_range = 16);
CREATE INDEX "partial ""index""" ON stock.tree (a DESC NULLS LAST, b) WHERE parent IS NOT NULL AND a > 3;
CREATE INDEX by_expression ON stock.tree ((a + b), stock.doubled(a)) INCLUDE (parent);
ALTER INDEX stock.by_expression ALTER COLUMN 1 SET STATISTICS 77;
CREATE UNIQUE INDEX with_collation ON stock.things (lower(name) COLLATE "C" text_pattern_ops);
CREATE INDEX by_class ON stock.tree (a stock.by_last_digit);
CREATE INDEX by_shelf ON stock.tree (b) TABLESPACE shelf;
COMMENT ON INDEX stock.by_hash IS 'exact';
ALTER TABLE stock.things REPLICA IDENTITY FULL;
ALTER TABLE stock.hen REPLICA IDENTITY USING INDEX hen_pkey;
ALTER TABLE stock.egg REPLICA IDENTITY NOTHING;
ALTER TABLE stock.tree CLUSTER ON tree_pkey;
CREATE STATISTICS stock.together (ndistinct, dependencies, mcv) ON a, b FROM stock.tree;
CREATE STATISTICS stock.of_expressions ON (a + b), (a * b) FROM stock.tree;
ALTER STATISTICS stock.together SET STATISTICS 55;
COMMENT ON STATISTICS stock.together IS 'they go together';

-- Tables of other kinds.
CREATE UNLOGGED TABLE stock.scratch (n int) USING pile;
INSERT INTO stock.scratch SELECT generate_series(1, 50);
CREATE TABLE stock.shelved (n int) TABLESPACE shelf;
INSERT INTO stock.shelved VALUES (1);
CREATE TABLE stock.nothing ();
INSERT INTO stock.nothing SELECT FROM generate_series(1, 7);
CREATE TABLE stock.typed OF stock.place (PRIMARY KEY (shelf));
INSERT INTO stock.typed VALUES (1, 'one');
CREATE TABLE stock.parent (id int CHECK (id > 0), kind text DEFAULT 'parent');
CREATE TABLE stock.child (extra int, kind text DEFAULT 'child') INHERITS (stock.parent);
CREATE TABLE stock.grandchild (CHECK (id < 1000000) NO INHERIT) INHERITS (stock.child);
INSERT INTO stock.parent VALUES (1);
INSERT INTO stock.child VALUES (2);
INSERT INTO stock.grandchild VALUES (3);
CREATE TABLE stock.by_range (at date NOT NULL, n int DEFAULT 1, PRIMARY KEY (at, n)) PARTITION BY RANGE (at);
CREATE TABLE stock.range_2025 PARTITION OF stock.by_range FOR VALUES FROM (MINVALUE) TO ('2026-01-01') PARTITION BY HASH (n);
CREATE TABLE stock.range_2025_0 PARTITION OF stock.range_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE stock.range_2025_1 (n int DEFAULT 9 NOT NULL, at date NOT NULL);
ALTER TABLE stock.range_2025 ATTACH PARTITION stock.range_2025_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE stock.range_default PARTITION OF stock.by_range DEFAULT;
CREATE INDEX range_n ON stock.by_range (n);
CREATE TABLE stock.by_list (kind stock.size, n int) PARTITION BY LIST (kind);
CREATE TABLE stock.list_small PARTITION OF stock.by_list FOR VALUES IN ('small', NULL);
CREATE TABLE stock.list_rest PARTITION OF stock.by_list DEFAULT;
INSERT INTO stock.by_range SELECT date '2025-06-01' + g, g % 4 FROM generate_series(1, 400) g;
INSERT INTO stock.by_list SELECT (enum_range(NULL::stock.size))[1 + g % 5], g FROM generate_series(1, 100) g;
CREATE TABLE public.escapes (line text, "\." text);
INSERT INTO public.escapes VALUES ('\.', '\N'), (E'\\.\n\\.', NULL), ('', E'\t'), (E'a\r\nb', E'\\\\.'), (E'\n', E'COPY x FROM stdin;\n\\.\n');
CREATE TABLE "odd ""schema"".with; signs"."a table, of a name
with a newline; and $$ -- ünïcödé" ("SELECT" int, "a.b" int, "'" int);
INSERT INTO "odd ""schema"".with; signs"."a table, of a name
with a newline; and $$ -- ünïcödé" SELECT g, g, g FROM generate_series(1, 5) g;
CREATE TABLE "user" ("order" int, "table" int, "a_very_long_name_that_has_exactly_as_many_bytes_as_there_may_b" text);

-- Views, rules, triggers.
CREATE VIEW stock.few AS SELECT id, name FROM stock.things WHERE id < 200 WITH CASCADED CHECK OPTION;
CREATE VIEW stock.guarded WITH (security_barrier, security_invoker) AS SELECT t.*, (SELECT count(*) FROM stock.orders o WHERE o.thing = t.id) AS orders FROM stock.things t;
CREATE RECURSIVE VIEW stock.deep (id, depth) AS SELECT id, 1 FROM stock.tree WHERE parent IS NULL UNION ALL SELECT t.id, d.depth + 1 FROM stock.tree t JOIN deep d ON t.parent = d.id;
CREATE VIEW stock.in_circles AS SELECT 1 AS n;
CREATE FUNCTION stock.of_circle() RETURNS SETOF stock.in_circles LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE VIEW stock.in_circles AS SELECT n FROM stock.of_circle() LIMIT 1;
ALTER VIEW stock.few ALTER name SET DEFAULT 'of a view';
COMMENT ON VIEW stock.few IS 'the first';
CREATE MATERIALIZED VIEW stock.counted WITH (fillfactor = 90) AS SELECT size, count(*) AS n, min(name) FROM stock.things GROUP BY size;
CREATE UNIQUE INDEX ON stock.counted (size);
CREATE MATERIALIZED VIEW stock.on_top AS SELECT sum(n) FROM stock.counted;
CREATE MATERIALIZED VIEW stock.unfilled AS SELECT * FROM stock.tree WITH NO DATA;
CREATE RULE aside AS ON INSERT TO stock.few DO INSTEAD INSERT INTO stock.things (name) VALUES (new.name);
CREATE RULE quiet AS ON UPDATE TO stock.strays WHERE old.n = new.n DO ALSO NOTHING;
ALTER TABLE stock.strays DISABLE RULE quiet;
COMMENT ON RULE aside ON stock.few IS 'elsewhere';
CREATE FUNCTION stock.watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trigger fired'; END $$;
CREATE TRIGGER "before; each" BEFORE INSERT OR UPDATE OF name ON stock.things FOR EACH ROW WHEN (new.number < 0) EXECUTE FUNCTION stock.watch('an arg', E'\\x''');
CREATE TRIGGER disabled AFTER DELETE ON stock.things FOR EACH STATEMENT EXECUTE FUNCTION stock.watch();
ALTER TABLE stock.things DISABLE TRIGGER disabled;
CREATE TRIGGER always AFTER INSERT ON stock.tree REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION stock.watch();
ALTER TABLE stock.tree ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER replica BEFORE INSERT ON stock.orders FOR EACH ROW EXECUTE FUNCTION stock.watch();
ALTER TABLE stock.orders ENABLE REPLICA TRIGGER replica;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON stock.hen DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stock.watch();
CREATE TRIGGER "instead" INSTEAD OF DELETE ON stock.few FOR EACH ROW EXECUTE FUNCTION stock.watch();
CREATE TRIGGER of_parts AFTER INSERT ON stock.by_range FOR EACH ROW EXECUTE FUNCTION stock.watch();
ALTER TABLE stock.range_default DISABLE TRIGGER of_parts;
COMMENT ON TRIGGER disabled ON stock.things IS 'at rest';

-- Row security.
ALTER TABLE stock.things ENABLE ROW LEVEL SECURITY;
ALTER TABLE stock.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON stock.things AS RESTRICTIVE FOR SELECT TO clerk, guest USING (name = current_user);
CREATE POLICY rooms ON stock.orders USING (room = 1) WITH CHECK (line > 0);
COMMENT ON POLICY own ON stock.things IS 'to each';

-- Large objects.
SELECT lo_from_bytea(70001, decode(repeat('00ff5c2e0a', 5000), 'hex')), lo_from_bytea(70002, ''), lo_from_bytea(70003, 'third');
ALTER LARGE OBJECT 70001 OWNER TO keeper;
GRANT SELECT ON LARGE OBJECT 70001 TO clerk;
GRANT UPDATE ON LARGE OBJECT 70003 TO PUBLIC;
COMMENT ON LARGE OBJECT 70003 IS 'the third';

-- Rights of what is to come.
ALTER DEFAULT PRIVILEGES FOR ROLE keeper IN SCHEMA stock GRANT SELECT ON TABLES TO clerk;
ALTER DEFAULT PRIVILEGES FOR ROLE keeper REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO guest WITH GRANT OPTION;

-- Other servers.
CREATE FOREIGN DATA WRAPPER nowhere OPTIONS (debug 'true');
CREATE SERVER far TYPE 'old' VERSION '1.0' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far.example', dbname 'it''s');
CREATE USER MAPPING FOR clerk SERVER far OPTIONS (user 'c', password 'p; ''x');
CREATE USER MAPPING FOR PUBLIC SERVER far;
CREATE FOREIGN TABLE stock.far_things (id int OPTIONS (column_name 'ID') NOT NULL, name text DEFAULT 'x') SERVER far OPTIONS (schema_name 'a', table_name 'b');
ALTER FOREIGN TABLE stock.far_things ADD CHECK (id > 0);
GRANT USAGE ON FOREIGN SERVER far TO clerk;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO clerk;
ALTER SERVER far OWNER TO keeper;
CREATE PUBLICATION a_part FOR TABLE stock.tree (id, a) WHERE (a > 2), TABLE ONLY stock.parent WITH (publish = 'insert, update');
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA stock WITH (publish_via_partition_root);
CREATE PUBLICATION of_all FOR ALL TABLES;
COMMENT ON PUBLICATION a_part IS 'news';
CREATE SUBSCRIPTION news CONNECTION 'host=far.example password=p' PUBLICATION a_part, "other ""one""" WITH (connect = false, slot_name = 'news', binary, streaming, synchronous_commit = local);
ALTER SUBSCRIPTION news OWNER TO postgres;

-- What makes a restore hard: a check that finds its function by the search path, a materialized view and an index likewise,
-- and event triggers that refuse what a restore does.
CREATE FUNCTION public.inner_check(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n > 0';
CREATE FUNCTION public.outer_check(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN inner_check(n); END';
CREATE TABLE public.checked (n int CHECK (public.outer_check(n)));
INSERT INTO public.checked SELECT generate_series(1, 20);
CREATE INDEX by_outer ON public.checked (public.outer_check(n));
CREATE MATERIALIZED VIEW public.outer_view AS SELECT n FROM public.checked WHERE public.outer_check(n);
CREATE FUNCTION stock.no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no %', tg_tag; END $$;
CREATE EVENT TRIGGER asleep ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION stock.no_ddl();
ALTER EVENT TRIGGER asleep DISABLE;
CREATE EVENT TRIGGER no_drops ON sql_drop EXECUTE FUNCTION stock.no_ddl();
CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION stock.no_ddl();
COMMENT ON EVENT TRIGGER no_ddl IS 'nothing moves';
