package attack_test

import (
	"errors"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// inBackground is what mallory prepares for an autovacuum that comes while her database is loaded: it runs the function of her range type as her,
// which waits for the superuser to read her table, and puts an index on that first.
const inBackground = `CREATE SCHEMA trap; CREATE SEQUENCE trap.once; CREATE TABLE trap.src (a int PRIMARY KEY); INSERT INTO trap.src VALUES (1);
	CREATE FUNCTION trap.seen(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
		IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN PERFORM hers.spring('background'); END IF; RETURN true; END $$;
	CREATE FUNCTION trap.plant() RETURNS void LANGUAGE plpgsql VOLATILE AS $f$ BEGIN
		IF current_database() = 'mal' OR to_regclass('trap.planted_i') IS NOT NULL OR current_setting('application_name') <> '' THEN RETURN; END IF; IF nextval('trap.once') > 1 THEN RETURN; END IF;
		FOR i IN 1..600 LOOP EXIT WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conname = 'src_pkey'); PERFORM pg_catalog.pg_sleep(0.02); END LOOP;
		LOCK TABLE trap.src IN ACCESS EXCLUSIVE MODE;
		FOR i IN 1..600 LOOP
			IF EXISTS (SELECT FROM pg_catalog.pg_locks WHERE relation = 'trap.src'::regclass AND NOT granted) THEN
				CREATE INDEX planted_i ON trap.src (a) WHERE trap.seen(1); RETURN; END IF;
			PERFORM pg_catalog.pg_sleep(0.02); END LOOP; EXCEPTION WHEN read_only_sql_transaction THEN RETURN; END $f$;
	CREATE FUNCTION trap.diff(int, int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM trap.plant(); RETURN $1 - $2; END';
	CREATE TYPE trap.r AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = trap.diff);
	CREATE TABLE trap.big (r trap.r); INSERT INTO trap.big SELECT trap.r(n, n + 5) FROM generate_series(1, 200) n;
	CREATE FUNCTION trap.slow(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN IF current_database() <> ''mal'' THEN PERFORM pg_catalog.pg_sleep($1); END IF; RETURN true; END';
	CREATE TABLE trap.y (n int CHECK (trap.slow(n))); INSERT INTO trap.y VALUES (2); CREATE TABLE trap.z (n int CHECK (trap.slow(n))); INSERT INTO trap.z VALUES (6)`

// What the server runs in the background of a database that is loaded changes nothing in it.
func TestAutovacuumChangesNothingDuringALoad(t *testing.T) {
	server := loadServer(t, postgrestest.WithSetting("autovacuum", "on"), postgrestest.WithSetting("autovacuum_naptime", "1"))
	as(t, server, "postgres", bobs)
	as(t, server, "mallory", weapons+inBackground)
	as(t, server, "postgres", "CREATE MATERIALIZED VIEW public.m AS SELECT a FROM trap.src")
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := loadConfig(t, server, format)
		manifest := loadDump(t, config)
		forget(t, server)
		err := loadBackup(t, config, manifest, "guarded", false)
		if err != nil && !errors.Is(err, backup.ErrContent) {
			t.Fatalf("%s: %v", format, err)
		}
		for _, harm := range (plan{}).harm(t, server, "guarded", err == nil) {
			t.Errorf("%s: %s", format, harm)
		}
		if err == nil {
			if got := server.Value(t, "guarded", "SELECT count(*) FROM pg_stat_all_tables WHERE relid = 'trap.big'::regclass AND last_autoanalyze IS NOT NULL"); got != "1" {
				t.Errorf("%s: no autovacuum came", format)
			}
			if got := server.Value(t, "guarded", "SHOW default_transaction_read_only"); got != "off" {
				t.Errorf("%s: it is left read-only", format)
			}
			server.DropDatabase(t, "guarded")
		}
	}
}
