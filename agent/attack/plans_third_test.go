package attack_test

// votes is a table of bob's that mallory may add rows to, whose trigger says who they are of.
const votes = `SET ROLE bob; CREATE TABLE bobs.votes (who name, s text); INSERT INTO bobs.votes VALUES ('bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory;
	CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW EXECUTE FUNCTION bobs.stamp()`

var forged = map[string]string{"SELECT count(*) FROM bobs.votes WHERE who = 'bob'": "1"}

// refTypes has the cast of an enum of mallory's to text run some SQL, by a foreign key to a table of somebody else's.
const refTypes = schemaTrap + `GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE TYPE trap.e AS ENUM ('x'); CREATE FUNCTION trap.ef(trap.e) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
	IF current_database() <> 'mal' THEN PERFORM hers.spring('fk_' || current_user); END IF; RETURN 'x'; END $$; CREATE CAST (trap.e AS text) WITH FUNCTION trap.ef(trap.e) AS IMPLICIT;`

var plansThird = map[string]plan{
	"third json cast in the first pass": {ours: true, before: votes,
		hers: `CREATE SCHEMA zzz; CREATE TYPE zzz.e AS ENUM ('x');` + arm("zzz.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) +
			`CREATE FUNCTION zzz.ej(zzz.e) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM zzz.arm(1); RETURN '1'; END $$; CREATE CAST (zzz.e AS json) WITH FUNCTION zzz.ej(zzz.e);
			CREATE TABLE zzz.zz (e zzz.e CHECK (to_json(e) IS NOT NULL)); INSERT INTO zzz.zz VALUES ('x')`, probe: forged},
	"third json cast reads forced": {ours: true, before: voted + `ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE bobs.docs FORCE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (who = session_user);
			CREATE VIEW bobs.mine AS SELECT * FROM bobs.docs; GRANT SELECT ON bobs.mine TO mallory`,
		hers: `CREATE SCHEMA zzz; CREATE TYPE zzz.e AS ENUM ('x'); CREATE TABLE zzz.loot (s text);` + arm("zzz.arm", `INSERT INTO zzz.loot SELECT s FROM bobs.mine;`) +
			`CREATE FUNCTION zzz.ej(zzz.e) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM zzz.arm(1); RETURN '1'; END $$; CREATE CAST (zzz.e AS json) WITH FUNCTION zzz.ej(zzz.e);
			CREATE TABLE zzz.zz (e zzz.e CHECK (to_json(e) IS NOT NULL)); INSERT INTO zzz.zz VALUES ('x')`,
		probe: map[string]string{"SELECT count(*) FROM zzz.loot WHERE s = 'secret'": "0"}},
	"third check after the rows": {ours: true, before: votes,
		hers: `CREATE SCHEMA zzz;` + arm("zzz.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) +
			`CREATE TABLE zzz.zz (a int, b int); INSERT INTO zzz.zz VALUES (1, 2); CREATE FUNCTION zzz.on(zzz.zz) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN zzz.arm(1) > 0; END $$; ALTER TABLE zzz.zz ADD CONSTRAINT c CHECK (zzz.on(zz.*))`, probe: forged},
	"third literal of a rule": {ours: true, before: votes,
		hers: `CREATE SCHEMA aaa;` + arm("aaa.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) + `CREATE DOMAIN aaa.d AS int CHECK (aaa.arm(VALUE) > 0);
			CREATE TABLE aaa.t (n int); CREATE RULE r AS ON INSERT TO aaa.t WHERE ('{1}'::aaa.d[] IS NULL) DO INSTEAD NOTHING; CREATE TABLE aaa.zz (n int CHECK (aaa.arm_v(-1) < n OR true)); INSERT INTO aaa.zz VALUES (1)`, probe: forged},
	"third key to a superusers table": {hers: refTypes, before: `CREATE SCHEMA admin; GRANT USAGE ON SCHEMA admin TO mallory; CREATE TABLE admin.k (a text PRIMARY KEY); INSERT INTO admin.k VALUES ('x'); GRANT REFERENCES ON admin.k TO mallory`,
		after: `SET ROLE mallory; CREATE TABLE trap.t (a trap.e REFERENCES admin.k); INSERT INTO trap.t VALUES ('x')`},
	"third key to bobs table": {ours: true, hers: refTypes + `CREATE TABLE trap.who (s text); GRANT ALL ON trap.who TO PUBLIC; CREATE OR REPLACE FUNCTION trap.ef(trap.e) RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN IF current_database() <> 'mal' THEN INSERT INTO trap.who VALUES (current_user); END IF; RETURN 'x'; END $$;`, before: `SET ROLE bob; CREATE TABLE bobs.kk (a text PRIMARY KEY); INSERT INTO bobs.kk VALUES ('x'); GRANT REFERENCES ON bobs.kk TO mallory`,
		after: `GRANT USAGE ON SCHEMA bobs TO mallory; SET ROLE mallory; CREATE TABLE trap.t (a trap.e REFERENCES bobs.kk); INSERT INTO trap.t VALUES ('x')`,
		probe: map[string]string{"SELECT count(*) FROM trap.who WHERE s = 'bob'": "0"}},
}
