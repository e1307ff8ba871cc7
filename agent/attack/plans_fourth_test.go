package attack_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// forges adds a row to bob's votes in his name, where no trigger says whose it is.
var forges = `CREATE SCHEMA zzz;` + arm("zzz.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`)

// hidden is a table of bob's with a row that his policy hides from mallory.
const hidden = `SET ROLE bob; CREATE TABLE bobs.docs (open boolean, s text); INSERT INTO bobs.docs VALUES (false, 'secret'), (true, 'open'); GRANT SELECT ON bobs.docs TO mallory;
	ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (open);`

// atCommit is a function of mallory's that has some SQL run when a statement of a login commits; %1$I in it is the schema of that login.
func atCommit(sql string) string {
	return schemaTrap + `CREATE FUNCTION trap.call() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM hers.spring(''closed''); RETURN 1; END';
		CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('` + sql + `', session_user); RETURN new; END $$;` +
		arm("trap.arm", `CREATE TABLE trap.queue (n int); CREATE CONSTRAINT TRIGGER late AFTER INSERT ON trap.queue DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trap.fire(); INSERT INTO trap.queue VALUES (1);`)
}

// closedView is a view of mallory's in a schema where she may make nothing. It is made again when the key is there that it is grouped by.
const closedView = `CREATE SCHEMA closed; GRANT USAGE ON SCHEMA closed TO mallory; CREATE TABLE closed.acc (id int PRIMARY KEY, m text); ALTER TABLE closed.acc OWNER TO mallory;
	CREATE VIEW closed.vw AS SELECT a.id, a.m, '{1}'::trap.d[] AS d FROM closed.acc a GROUP BY a.id; ALTER VIEW closed.vw OWNER TO mallory`

// plansFourth run code by functions of the server's own that look harmless, and put another kind of object where a table is to go.
var plansFourth = map[string]plan{
	"fourth table to xml": {before: votes, probe: forged,
		hers: forges + `CREATE VIEW zzz.v AS SELECT zzz.arm_v(1) AS n; CREATE TABLE zzz.zz (n int CHECK (table_to_xml('zzz.v', true, false, '') IS NOT NULL)); INSERT INTO zzz.zz VALUES (1)`},
	"fourth schema to xml": {before: votes, probe: forged,
		hers: forges + `CREATE SCHEMA zzv; CREATE VIEW zzv.v AS SELECT zzz.arm_v(1) AS n; CREATE TABLE zzz.zz (n int CHECK (schema_to_xml('zzv', true, false, '') IS NOT NULL)); INSERT INTO zzz.zz VALUES (1)`},
	"fourth schema to xml of a domain": {before: votes, probe: forged,
		hers: forges + `CREATE SCHEMA zzv; CREATE VIEW zzv.v AS SELECT zzz.arm_v(1) AS n; CREATE DOMAIN zzz.d AS int CHECK (schema_to_xml('zzv', true, false, '') IS NOT NULL); CREATE TABLE zzz.zz (n zzz.d); INSERT INTO zzz.zz VALUES (1)`},
	"fourth input of a domain": {before: votes, probe: forged,
		hers: forges + `CREATE DOMAIN zzz.d AS int CHECK (zzz.arm_v(VALUE) > 0); CREATE TABLE zzz.zz (n int, CHECK (domain_in('1', ('zzz.' || 'd')::regtype, -1) IS NOT NULL)); INSERT INTO zzz.zz VALUES (1)`},
	"fourth key of partitions": {before: votes, probe: forged,
		hers: forges + `CREATE TABLE zzz.par (n int) PARTITION BY HASH ((n + zzz.arm(1))); CREATE TABLE zzz.zz (r regclass, n int, CHECK (satisfies_hash_partition(r, 2, 0, n) IS NOT NULL)); INSERT INTO zzz.zz VALUES ('zzz.par', 1)`},
	"fourth key of partitions in a column": {before: votes, probe: forged,
		hers: forges + `CREATE TABLE zzz.par (n int) PARTITION BY HASH ((n + zzz.arm(1))); CREATE TABLE zzz.zz (r regclass, n int, b boolean GENERATED ALWAYS AS (satisfies_hash_partition(r, 2, 0, n)) STORED); INSERT INTO zzz.zz VALUES ('zzz.par', 1)`},
	"fourth view in a closed schema": {ours: true, hers: atCommit(`DROP TABLE %1$I.tt; CREATE VIEW %1$I.tt AS SELECT trap.call() AS n`),
		after: `CREATE SCHEMA closed; GRANT USAGE ON SCHEMA closed TO mallory; CREATE TABLE closed.tt (n int) PARTITION BY RANGE ((n + trap.arm(1))); ALTER TABLE closed.tt OWNER TO mallory`,
		probe: map[string]string{"SELECT relkind FROM pg_class WHERE relname = 'tt'": "p"}},
	"fourth renamed in a closed schema": {ours: true, hers: atCommit(`ALTER TABLE %1$I.tt RENAME TO gone; CREATE TABLE %1$I.tt (evil int)`),
		after: `CREATE SCHEMA closed; GRANT USAGE ON SCHEMA closed TO mallory; CREATE TABLE closed.tt (n int) PARTITION BY RANGE ((n + trap.arm(1))); ALTER TABLE closed.tt OWNER TO mallory`,
		probe: map[string]string{"SELECT count(*) FROM pg_attribute WHERE attname = 'evil'": "0"}},
	"fourth table for a view in a closed schema": {ours: true, hers: atCommit(`ALTER VIEW %1$I.vw RENAME TO gone; CREATE TABLE %1$I.vw (n int)`) + `CREATE DOMAIN trap.d AS int CHECK (trap.arm(VALUE) > 0)`,
		after: closedView, probe: map[string]string{"SELECT relkind FROM pg_class WHERE relname = 'vw'": "v"}},
	"fourth taken from a closed schema": {ours: true, hers: atCommit(`ALTER VIEW %1$I.vw RENAME TO gone`) + `CREATE DOMAIN trap.d AS int CHECK (trap.arm(VALUE) > 0)`,
		after: closedView, probe: map[string]string{"SELECT relkind FROM pg_class WHERE relname = 'vw'": "v"}},
}

// plansOfRows read rows that row security hides, while others are loaded.
var plansOfRows = map[string]plan{
	"fourth row security": {before: hidden, probe: map[string]string{"SELECT count(*) FROM zzz.loot WHERE s = 'secret'": "0"},
		hers: `CREATE SCHEMA zzz; CREATE TABLE zzz.loot (s text);` + arm("zzz.arm", `INSERT INTO zzz.loot SELECT s FROM bobs.docs;`) + `CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`},
	"fourth row security of a tree": {probe: map[string]string{"SELECT count(*) FROM zzz.loot WHERE s = 'secret'": "0"},
		before: `SET ROLE bob; CREATE TABLE bobs.docs (open boolean, s text) PARTITION BY LIST (open); CREATE TABLE bobs.docs1 PARTITION OF bobs.docs DEFAULT; INSERT INTO bobs.docs VALUES (false, 'secret'), (true, 'open'); GRANT SELECT ON bobs.docs TO mallory; ALTER TABLE bobs.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON bobs.docs USING (open)`,
		hers:   `CREATE SCHEMA zzz; CREATE TABLE zzz.loot (s text);` + arm("zzz.arm", `INSERT INTO zzz.loot SELECT s FROM bobs.docs;`) + `CREATE TABLE zzz.zz (n int CHECK (zzz.arm(n) > 0)); INSERT INTO zzz.zz VALUES (1)`},
	"fourth row security beside a literal": {ours: true, probe: map[string]string{"SELECT count(*) FROM aaa.loot WHERE s = 'secret'": "0"},
		before: hidden + `CREATE TYPE bobs.e AS ENUM ('x'); CREATE TABLE bobs.seen (e bobs.e); CREATE RULE r AS ON UPDATE TO bobs.docs WHERE ('x'::bobs.e IS NULL) DO INSTEAD NOTHING`,
		hers: `CREATE SCHEMA aaa; CREATE TABLE aaa.loot (s text);` + arm("aaa.arm", `INSERT INTO aaa.loot SELECT s FROM bobs.docs;`) + `CREATE DOMAIN aaa.d AS int CHECK (aaa.arm(VALUE) > 0);
			CREATE TABLE aaa.t (n int); CREATE RULE r AS ON INSERT TO aaa.t WHERE ('{1}'::aaa.d[] IS NULL) DO INSTEAD NOTHING; CREATE TABLE aaa.zz (n int CHECK (aaa.arm_v(-1) < n OR true)); INSERT INTO aaa.zz VALUES (1)`},
}

// Code of an owner that runs while rows are loaded sees no row that row security hides from it, whoever restores. Loaded as everybody does,
// the plans work.
func TestCodeDuringALoadSeesNoHiddenRows(t *testing.T) {
	all := maps.Clone(plansOfRows)
	for _, name := range []string{"late table forced", "tree forced"} {
		all[name] = plansOfLooks[name]
	}
	all["policy of a table that is loaded later"] = plansOfGuards["policy of a table that is loaded later"]
	for name, p := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := loadServer(t)
			as(t, server, "postgres", smallRole+";"+bobs)
			as(t, server, "mallory", weapons+"CREATE TABLE hers.log (s text); GRANT USAGE ON SCHEMA hers TO PUBLIC; GRANT ALL ON hers.log TO PUBLIC")
			for _, step := range []struct{ role, sql string }{{"postgres", p.before}, {"mallory", p.hers}, {"postgres", p.after}} {
				as(t, server, step.role, step.sql)
			}
			for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
				for agent, config := range map[string]*backup.Config{"small": smallConfig(t, server, format), "superuser": loadConfig(t, server, format)} {
					err := loadBackup(t, config, loadDump(t, config), "guarded", false)
					wantNoLogins(t, server)
					if err != nil && !errors.Is(err, backup.ErrContent) {
						t.Fatalf("%s, %s: %v\n%s", agent, format, err, postgres.Words(err))
					}
					for _, harm := range p.harm(t, server, "guarded", err == nil) {
						t.Errorf("%s, %s: %s", agent, format, harm)
					}
					if err == nil {
						server.DropDatabase(t, "guarded")
					}
				}
			}
			if p.ours {
				return
			}
			stockArchive(t, server)
			if len(p.harm(t, server, "stock", true)) == 0 {
				t.Error("stock tools are not harmed: the plan is not live")
			}
		})
	}
}
