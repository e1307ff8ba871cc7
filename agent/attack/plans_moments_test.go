package attack_test

// plansWhileLoaded use the moments in which rows stand without what guards them.
var plansWhileLoaded = map[string]plan{
	"nobody rls": {ours: true, hers: `CREATE DOMAIN hers.d AS int`,
		after: `SET ROLE bob; CREATE TABLE bobs.docs (open boolean, s text, n hers.d); INSERT INTO bobs.docs SELECT false, 'secret' || repeat('x', 500), n FROM generate_series(1, 3000) n; ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (open); GRANT SELECT ON bobs.docs TO mallory;
			SET ROLE mallory; CREATE TABLE hers.loot (s text); CREATE VIEW hers.v AS SELECT * FROM bobs.docs; CREATE FUNCTION hers.look(int) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN IF $1 = 3000 THEN INSERT INTO hers.loot SELECT s FROM hers.v LIMIT 1; END IF; RETURN true; END $$; ALTER DOMAIN hers.d ADD CHECK (hers.look(VALUE))`,
		probe: map[string]string{"SELECT count(*) FROM hers.loot": "0"}},
	"nobody update": {ours: true, hers: `CREATE DOMAIN hers.d AS int`,
		after: `SET ROLE bob; CREATE TABLE bobs.votes (who name, s text, n hers.d); INSERT INTO bobs.votes SELECT 'bob', 'yes' || repeat('x', 500), n FROM generate_series(1, 3000) n; GRANT SELECT, UPDATE ON bobs.votes TO mallory;
			CREATE FUNCTION bobs.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF old.who <> session_user THEN RETURN NULL; END IF; RETURN new; END'; CREATE TRIGGER no BEFORE UPDATE ON bobs.votes FOR EACH ROW EXECUTE FUNCTION bobs.no();
			SET ROLE mallory; CREATE VIEW hers.v AS SELECT * FROM bobs.votes; CREATE FUNCTION hers.look(int) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN IF current_database() <> 'mal' AND $1 = 3000 THEN UPDATE hers.v SET s = 'no' WHERE who = 'bob'; END IF; RETURN true; END $$; ALTER DOMAIN hers.d ADD CHECK (hers.look(VALUE))`,
		probe: map[string]string{"SELECT count(*) FROM bobs.votes WHERE s = 'no'": "0"}},
	"delete and insert while nobody loads": {ours: true, hers: `CREATE DOMAIN hers.d AS int`,
		after: `CREATE TABLE public.votes (who name, s text, n hers.d); INSERT INTO public.votes SELECT 'bob', 'yes' || repeat('x', 500), n FROM generate_series(1, 3000) n; GRANT SELECT, INSERT, DELETE ON public.votes TO mallory;
			CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER no BEFORE DELETE ON public.votes FOR EACH ROW EXECUTE FUNCTION public.no(); CREATE RULE log AS ON INSERT TO public.votes DO INSTEAD NOTHING;
			SET ROLE mallory; CREATE VIEW hers.v AS SELECT * FROM public.votes; CREATE FUNCTION hers.look(int) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE k int; BEGIN IF current_database() <> 'mal' AND $1 = 3000 THEN DELETE FROM hers.v WHERE n = 5; GET DIAGNOSTICS k = ROW_COUNT; IF k = 1 THEN INSERT INTO hers.v VALUES ('bob', 'forged', 5); END IF; END IF; RETURN true; END $$; ALTER DOMAIN hers.d ADD CHECK (hers.look(VALUE))`,
		probe: map[string]string{"SELECT count(*) FROM public.votes WHERE s = 'forged'": "0"}},
	// A tree of bob's of which one part is loaded in the first pass and one after her code.
	"trigger of a tree with a late part": {ours: true, before: `SET ROLE bob; CREATE FUNCTION bobs.fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE TABLE bobs.votes (k int, who name, s text) PARTITION BY LIST (k); CREATE TABLE bobs.votes1 PARTITION OF bobs.votes FOR VALUES IN (1); CREATE TABLE bobs.votes2 PARTITION OF bobs.votes (CHECK (bobs.fine(s))) FOR VALUES IN (2);
			INSERT INTO bobs.votes VALUES (1, 'bob', 'yes'), (2, 'bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory; CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW EXECUTE FUNCTION bobs.stamp()`,
		hers:  `CREATE SCHEMA aaa;` + arm("aaa.arm", `INSERT INTO bobs.votes VALUES (1, 'bob', 'no');`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM bobs.votes WHERE who = 'bob'": "2"}},
	"forced tree with a late part": {ours: true, before: `SET ROLE bob; CREATE FUNCTION bobs.fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE TABLE bobs.docs (k int, who name, s text) PARTITION BY LIST (k); CREATE TABLE bobs.docs1 PARTITION OF bobs.docs FOR VALUES IN (1); CREATE TABLE bobs.docs2 PARTITION OF bobs.docs (CHECK (bobs.fine(s))) FOR VALUES IN (2);
			INSERT INTO bobs.docs VALUES (1, 'bob', 'secret'), (2, 'bob', 'secret'); ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE bobs.docs FORCE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (who = session_user); CREATE VIEW bobs.mine AS SELECT * FROM bobs.docs; GRANT SELECT ON bobs.mine TO mallory`,
		hers:  `CREATE SCHEMA aaa; CREATE TABLE aaa.loot (s text);` + arm("aaa.arm", `INSERT INTO aaa.loot SELECT s FROM bobs.mine;`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM aaa.loot": "0"}},
	// A tree by inheritance: bob's table has a parent of hers, whose rows come last.
	"trigger of bobs child of her late table": {ours: true, hers: `CREATE SCHEMA zzz; GRANT USAGE ON SCHEMA zzz TO PUBLIC;` + arm("zzz.arm", `INSERT INTO bobs.votes VALUES (1, 'bob', 'no');`) + `CREATE TABLE zzz.par (k int); CREATE TABLE zzz.a (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.a VALUES (1)`,
		after: `CREATE TABLE bobs.votes (who name, s text) INHERITS (zzz.par); ALTER TABLE bobs.votes OWNER TO bob; INSERT INTO bobs.votes VALUES (1, 'bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory; SET ROLE bob; CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW EXECUTE FUNCTION bobs.stamp(); SET ROLE mallory; CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)) INHERITS (zzz.par); INSERT INTO zzz.zz VALUES (1, 1)`,
		probe: forged},
	// A rule that needs a key can't be made before the key is.
	"rule that needs a key": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.ids (who name CONSTRAINT ids_key PRIMARY KEY, s text); INSERT INTO bobs.ids VALUES ('bob', 'yes'); CREATE TABLE bobs.votes (who name, s text); INSERT INTO bobs.votes VALUES ('bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory;
			CREATE RULE closed AS ON INSERT TO bobs.votes DO INSTEAD INSERT INTO bobs.ids VALUES (session_user, new.s) ON CONFLICT ON CONSTRAINT ids_key DO NOTHING`,
		hers:  `CREATE SCHEMA aaa;` + arm("aaa.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: forged},
	"trigger whose condition needs a key": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.ids (id int CONSTRAINT ids_key PRIMARY KEY, s text); CREATE FUNCTION bobs.applies() RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT count(*) >= 0 FROM (SELECT id, s FROM bobs.ids GROUP BY id) x; END; CREATE TABLE bobs.votes (who name, s text); INSERT INTO bobs.votes VALUES ('bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory;
			CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW WHEN (bobs.applies()) EXECUTE FUNCTION bobs.stamp()`,
		hers:  `CREATE SCHEMA aaa;` + arm("aaa.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: forged},
	// A late table of bob's that is loaded after hers: rows that she adds before.
	"rows before a late table of bobs": {ours: true, before: `SET ROLE bob; CREATE FUNCTION bobs.fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE TABLE bobs.votes (who name, s text CHECK (bobs.fine(s))); INSERT INTO bobs.votes VALUES ('bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory;
			CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW EXECUTE FUNCTION bobs.stamp()`,
		hers:  `CREATE SCHEMA aaa;` + arm("aaa.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: forged},
	// She has TRIGGER, and a trigger of the name that bob's has.
	"a trigger of hers under the name of bobs": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.votes (who name, s text); INSERT INTO bobs.votes VALUES ('bob', 'yes'); GRANT INSERT, TRIGGER ON bobs.votes TO mallory;
			CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW EXECUTE FUNCTION bobs.stamp()`,
		hers:  `CREATE SCHEMA aaa; CREATE FUNCTION aaa.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';` + arm("aaa.arm", `CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW EXECUTE FUNCTION aaa.f(); INSERT INTO bobs.votes VALUES ('bob', 'no');`) + `CREATE TABLE aaa.a (n int) PARTITION BY RANGE ((n + aaa.arm(1)))`,
		probe: forged},
}

// plansOfNames are about who it is that runs her code, and what it puts in the place of her table.
var plansOfNames = map[string]plan{
	"session_user of a refresh": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.docs (who name, s text); INSERT INTO bobs.docs VALUES ('bob', 'secret'), ('mallory', 'hers'), ('postgres', 'admins'); ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (who = session_user); GRANT SELECT ON bobs.docs TO mallory`,
		hers:  `CREATE FUNCTION hers.only() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF session_user LIKE 'pgharbor%' THEN RAISE insufficient_privilege; END IF; RETURN true; END $$; CREATE MATERIALIZED VIEW hers.m AS SELECT hers.only()::text AS s UNION ALL SELECT s FROM bobs.docs`,
		probe: map[string]string{"SELECT count(*) FROM hers.m WHERE s = 'admins'": "0"}},
}
