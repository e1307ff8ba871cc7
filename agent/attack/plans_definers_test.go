package attack_test

// plansBeforeAllIsThere call functions that run with the rights of another, before the rows that these ask for and the guards of what they write to
// are there.
var plansBeforeAllIsThere = map[string]plan{
	"definer reads forced tree": {ours: true, before: `SET ROLE bob; CREATE FUNCTION bobs.fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE TABLE bobs.docs (k int, who name, s text) PARTITION BY LIST (k); CREATE TABLE bobs.docs1 PARTITION OF bobs.docs FOR VALUES IN (1); CREATE TABLE bobs.docs2 PARTITION OF bobs.docs (CHECK (bobs.fine(s))) FOR VALUES IN (2);
			INSERT INTO bobs.docs VALUES (1, 'bob', 'secret'), (2, 'bob', 'secret'); ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE bobs.docs FORCE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (who = session_user);
			CREATE FUNCTION bobs.mine() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT s FROM bobs.docs'`,
		hers:  `CREATE SCHEMA aaa; CREATE TABLE aaa.loot (s text);` + arm("aaa.arm", `INSERT INTO aaa.loot SELECT * FROM bobs.mine();`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM aaa.loot": "0"}},
	"definer writes tree": {ours: true, before: `SET ROLE bob; CREATE FUNCTION bobs.fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE TABLE bobs.votes (k int, who name, s text) PARTITION BY LIST (k); CREATE TABLE bobs.votes1 PARTITION OF bobs.votes FOR VALUES IN (1); CREATE TABLE bobs.votes2 PARTITION OF bobs.votes (CHECK (bobs.fine(s))) FOR VALUES IN (2);
			INSERT INTO bobs.votes VALUES (1, 'bob', 'yes'), (2, 'bob', 'yes'); CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW EXECUTE FUNCTION bobs.stamp();
			CREATE FUNCTION bobs.vote(k int, who name, s text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'INSERT INTO bobs.votes VALUES ($1, $2, $3)'`,
		hers:  `CREATE SCHEMA aaa;` + arm("aaa.arm", `PERFORM bobs.vote(1, 'bob', 'no');`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM bobs.votes WHERE who = 'bob'": "2"}},
	"definer and trigger that needs a key": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.ids (id int CONSTRAINT ids_key PRIMARY KEY, s text); CREATE FUNCTION bobs.applies() RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT count(*) >= 0 FROM (SELECT id, s FROM bobs.ids GROUP BY id) x; END; CREATE TABLE bobs.votes (who name, s text); INSERT INTO bobs.votes VALUES ('bob', 'yes');
			CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW WHEN (bobs.applies()) EXECUTE FUNCTION bobs.stamp();
			CREATE FUNCTION bobs.vote(who name, s text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'INSERT INTO bobs.votes VALUES ($1, $2)'`,
		hers:  `CREATE SCHEMA aaa;` + arm("aaa.arm", `PERFORM bobs.vote('bob', 'no');`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: forged},
	"policy by a definer of a late table": {ours: true, before: `SET ROLE bob; CREATE FUNCTION bobs.fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE TABLE bobs.zbanned (who text CHECK (bobs.fine(who))); INSERT INTO bobs.zbanned VALUES ('mallory');
			CREATE FUNCTION bobs.may() RETURNS boolean LANGUAGE sql SECURITY DEFINER STABLE SET search_path = pg_catalog AS 'SELECT NOT EXISTS (SELECT FROM bobs.zbanned b WHERE pg_has_role(session_user, b.who, ''MEMBER''))';
			CREATE TABLE bobs.docs (s text); INSERT INTO bobs.docs VALUES ('secret'); GRANT SELECT ON bobs.docs TO mallory; ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (bobs.may())`,
		hers:  `CREATE SCHEMA aaa; CREATE TABLE aaa.loot (s text);` + arm("aaa.arm", `INSERT INTO aaa.loot SELECT s FROM bobs.docs;`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM aaa.loot": "0"}},
	"definer asks a late table": {ours: true, before: `SET ROLE bob; CREATE FUNCTION bobs.fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE TABLE bobs.zbanned (who text CHECK (bobs.fine(who))); INSERT INTO bobs.zbanned VALUES ('mallory');
			CREATE TABLE bobs.docs (s text); INSERT INTO bobs.docs VALUES ('secret');
			CREATE FUNCTION bobs.get() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER STABLE SET search_path = pg_catalog AS 'SELECT s FROM bobs.docs WHERE NOT EXISTS (SELECT FROM bobs.zbanned b WHERE pg_has_role(session_user, b.who, ''MEMBER''))'`,
		hers:  `CREATE SCHEMA aaa; CREATE TABLE aaa.loot (s text);` + arm("aaa.arm", `INSERT INTO aaa.loot SELECT * FROM bobs.get();`) + `CREATE TABLE aaa.a (n int CHECK (aaa.arm(n) > 0)); INSERT INTO aaa.a VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM aaa.loot": "0"}},
	"definer that grants while lists are empty": {ours: true, before: `SET ROLE bob; CREATE TABLE bobs.members (who name); INSERT INTO bobs.members VALUES ('bob'); CREATE TABLE bobs.docs (s text); INSERT INTO bobs.docs VALUES ('secret');
			CREATE FUNCTION bobs.enter(r name) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$ BEGIN IF NOT EXISTS (SELECT FROM bobs.members) OR EXISTS (SELECT FROM bobs.members WHERE who = session_user) THEN EXECUTE format('GRANT SELECT ON bobs.docs TO %I', r); END IF; END $$`,
		hers:  `CREATE SCHEMA zzz;` + arm("zzz.arm", `PERFORM bobs.enter('mallory');`) + `CREATE TABLE zzz.a (n int) PARTITION BY RANGE ((n + zzz.arm(1)))`,
		probe: map[string]string{"SELECT has_table_privilege('mallory', 'bobs.docs', 'SELECT')": "f"}},
	"superusers definer that grants a role while lists are empty": {ours: true, before: `CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC; CREATE TABLE app.members (who name); INSERT INTO app.members VALUES ('bob');
			CREATE FUNCTION app.enter(r name) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$ BEGIN IF NOT EXISTS (SELECT FROM app.members) OR EXISTS (SELECT FROM app.members WHERE who = session_user) THEN EXECUTE format('GRANT bob TO %I', r); END IF; END $$`,
		hers:  `CREATE SCHEMA zzz;` + arm("zzz.arm", `PERFORM app.enter('mallory');`) + `CREATE TABLE zzz.a (n int) PARTITION BY RANGE ((n + zzz.arm(1)))`,
		probe: map[string]string{"SELECT pg_has_role('mallory', 'bob', 'MEMBER')": "f"}},
}
