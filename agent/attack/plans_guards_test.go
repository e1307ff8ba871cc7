package attack_test

import (
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// forced is a table of bob's that hides rows from him, too.
const forced = `SET ROLE bob; CREATE TABLE bobs.docs (open boolean, s text); INSERT INTO bobs.docs VALUES (true, 'open'), (false, 'secret'); ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE bobs.docs FORCE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (open);`

// plansOfGuards use rights that mallory has, before what guards bob's rows stands.
var plansOfGuards = map[string]plan{
	"force rls view": {before: `SET ROLE bob; CREATE TABLE bobs.docs (who name, s text); INSERT INTO bobs.docs VALUES ('bob', 'secret'), ('mallory', 'hers'); ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE bobs.docs FORCE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (who = session_user);
			CREATE VIEW bobs.mine AS SELECT * FROM bobs.docs; GRANT SELECT ON bobs.mine TO mallory`,
		hers: `CREATE SCHEMA zzz; CREATE TABLE zzz.loot (s text);` + arm("zzz.arm", `INSERT INTO zzz.loot SELECT s FROM bobs.mine;`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM zzz.loot WHERE s = 'secret'": "0"}},
	"trigger guard": {before: `SET ROLE bob; CREATE TABLE bobs.votes (who name, s text); INSERT INTO bobs.votes VALUES ('bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory;
			CREATE FUNCTION bobs.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.who := session_user; RETURN new; END'; CREATE TRIGGER stamp BEFORE INSERT ON bobs.votes FOR EACH ROW EXECUTE FUNCTION bobs.stamp()`,
		hers: `CREATE SCHEMA zzz;` + arm("zzz.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) +
			`CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM bobs.votes WHERE who = 'bob'": "1"}},
	"rule guard": {before: `SET ROLE bob; CREATE TABLE bobs.votes (who name, s text); INSERT INTO bobs.votes VALUES ('bob', 'yes'); GRANT INSERT ON bobs.votes TO mallory; CREATE RULE closed AS ON INSERT TO bobs.votes DO INSTEAD NOTHING`,
		hers:  `CREATE SCHEMA zzz;` + arm("zzz.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`) + `CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`,
		probe: map[string]string{"SELECT count(*) FROM bobs.votes": "1"}},
	"policy of a table that is loaded later": {formats: []string{postgres.FormatCustom, postgres.FormatPlain}, before: `CREATE SCHEMA a AUTHORIZATION bob; CREATE SCHEMA z AUTHORIZATION bob; GRANT USAGE ON SCHEMA a, z TO mallory; SET ROLE bob; CREATE TABLE a.docs (id int, s text, filler text); INSERT INTO a.docs SELECT n, 'secret', repeat(md5(n::text), 100) FROM generate_series(1, 100) n;
			CREATE TABLE z.hidden (id int); INSERT INTO z.hidden SELECT generate_series(1, 100); GRANT SELECT ON a.docs, z.hidden TO mallory; ALTER TABLE a.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON a.docs USING (NOT EXISTS (SELECT FROM z.hidden h WHERE h.id = docs.id))`,
		hers: `CREATE SCHEMA m; CREATE TABLE m.loot (s text);` + arm("m.arm", `PERFORM pg_sleep(0.1); INSERT INTO m.loot SELECT s FROM a.docs;`) +
			`CREATE TABLE m.zz (n int CHECK (m.arm(n) > 0), filler text); INSERT INTO m.zz SELECT n, repeat(md5(n::text), 100) FROM generate_series(1, 20) n`,
		probe: map[string]string{"SELECT count(*) FROM m.loot": "0"}},
	"matview of a forced table":               {ours: true, before: forced + `CREATE MATERIALIZED VIEW bobs.m AS SELECT * FROM bobs.docs; GRANT SELECT ON bobs.m TO mallory`, hers: "SELECT 1", probe: map[string]string{"SELECT string_agg(s, ',' ORDER BY s) FROM bobs.m": "open"}},
	"her matview of a view of a forced table": {ours: true, before: forced + `CREATE VIEW bobs.v AS SELECT * FROM bobs.docs; GRANT SELECT ON bobs.v TO mallory`, hers: "CREATE MATERIALIZED VIEW hers.m AS SELECT * FROM bobs.v", probe: map[string]string{"SELECT string_agg(s, ',' ORDER BY s) FROM hers.m": "open"}},
}
