package backup_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/seal"
)

// particular is what comes back only where roles can do what they could: what only a superuser owns or reads, what only one
// who passes row security sees, and what stands in the way of who comes after it.
const particular = `
	CREATE ROLE chief SUPERUSER; CREATE ROLE auditor BYPASSRLS; CREATE ROLE clerk; CREATE ROLE trainee; GRANT clerk TO trainee;
	CREATE TABLE secrets (id int PRIMARY KEY, tenant text); INSERT INTO secrets SELECT n, 'tenant ' || n FROM generate_series(1, 100) n;
	ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; ALTER TABLE secrets FORCE ROW LEVEL SECURITY;
	CREATE POLICY none ON secrets USING (false); ALTER TABLE secrets OWNER TO clerk; GRANT SELECT ON secrets TO auditor;
	CREATE MATERIALIZED VIEW audit AS SELECT * FROM secrets; ALTER MATERIALIZED VIEW audit OWNER TO auditor;
	CREATE MATERIALIZED VIEW logins AS SELECT rolname, rolpassword FROM pg_authid; ALTER MATERIALIZED VIEW logins OWNER TO chief;
	CREATE TABLE shared (n int); INSERT INTO shared VALUES (1); ALTER TABLE shared OWNER TO clerk;
	CREATE MATERIALIZED VIEW lent AS SELECT * FROM shared; ALTER MATERIALIZED VIEW lent OWNER TO trainee;
	CREATE EXTENSION postgres_fdw;
	CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'far'); ALTER SERVER far OWNER TO clerk;
	CREATE USER MAPPING FOR clerk SERVER far OPTIONS (user 'far', password 'far');
	CREATE FOREIGN TABLE far_goods (n int) SERVER far;
	CREATE FOREIGN DATA WRAPPER bare; ALTER FOREIGN DATA WRAPPER bare OWNER TO chief;
	CREATE SUBSCRIPTION wires CONNECTION 'host=/nowhere dbname=far' PUBLICATION all_of_it WITH (connect = false, slot_name = NONE);
	ALTER SUBSCRIPTION wires OWNER TO chief;
	CREATE PUBLICATION everything FOR ALL TABLES; ALTER PUBLICATION everything OWNER TO chief;
	CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $x$ BEGIN RAISE EXCEPTION 'no'; END $x$;
	CREATE EVENT TRIGGER a_refusal ON ddl_command_end EXECUTE FUNCTION refuse(); ALTER EVENT TRIGGER a_refusal DISABLE;
	CREATE EVENT TRIGGER the_refusal ON ddl_command_start EXECUTE FUNCTION refuse(); ALTER EVENT TRIGGER the_refusal OWNER TO chief`

// A backup of a database that has all that is particular is proven, whatever it takes that the roles had.
func TestProveOfWhatOnlySuperusersMake(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE DATABASE particular")
	for _, sql := range strings.SplitAfter(particular, "OWNER TO chief;") { // a subscription is made in a transaction of its own
		server.Exec(t, "particular", sql)
	}
	for _, format := range []string{"plain", "custom"} {
		t.Run(format, func(t *testing.T) {
			config := newConfig(t, server.Environ()...)
			config.Format, config.Keys.Passphrases = format, seal.Passphrases{Current: "secret"}
			manifest := backUp(t, config, "particular")
			proof, err := prove(t, config, manifest.ID, nil)
			if err != nil || proof.State != backup.TestRestoreSucceeded || proof.Rows != 101 {
				t.Fatalf("%+v, %v", proof, err)
			}
			if proof.Cage == "" || strings.HasPrefix(proof.Cage, "none") {
				t.Errorf("what held it: %q", proof.Cage)
			}
			// Without what was kept of the roles, nothing is known against the backup either.
			proof, err = prove(t, config, manifest.ID, func(r *backup.TestRestoreRequest) { r.Manifest.Globals = nil })
			if err != nil || proof.State != backup.TestRestoreSucceeded {
				t.Errorf("without its roles: %+v, %v", proof, err)
			}
		})
	}
}

// A materialized view over another server's table can't be filled where nothing can be connected to. What was dumped is all
// there, and so it counts; whether that other server is there says nothing of the backup.
func TestProveOfWhatReadsAnotherServer(t *testing.T) {
	server := postgrestest.Start(t)
	for _, database := range []string{"near", "far"} {
		server.Exec(t, "postgres", "CREATE DATABASE "+database)
	}
	server.Exec(t, "far", "CREATE TABLE goods AS SELECT generate_series(1, 10) AS n")
	server.Exec(t, "near", fmt.Sprintf(`CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink;
		CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%[1]s', port '%[2]d', dbname 'far');
		CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'postgres');
		CREATE TABLE own AS SELECT generate_series(1, 7) AS n;
		CREATE ROLE keeper; ALTER TABLE own OWNER TO keeper;
		CREATE FOREIGN TABLE goods (n int) SERVER far;
		CREATE MATERIALIZED VIEW seen AS SELECT * FROM goods;
		CREATE MATERIALIZED VIEW linked AS SELECT * FROM dblink('host=%[1]s port=%[2]d dbname=far user=postgres', 'SELECT n FROM goods') AS t (n int);
		CREATE INDEX ON seen (n)`, server.SocketDir, server.Port))
	for _, format := range []string{"plain", "custom"} {
		t.Run(format, func(t *testing.T) {
			config := newConfig(t, server.Environ()...)
			config.Format = format
			proof, err := prove(t, config, backUp(t, config, "near").ID, nil)
			if err != nil || proof.State != backup.TestRestoreSucceeded || proof.Rows != 7 {
				t.Errorf("%+v, %v", proof, err)
			}
		})
	}
}

// A materialized view whose owner sees some rows of what it reads is filled with these and no others, where the stock tools
// fail; and its backup proves, also where a check finds its function by the search path.
func TestAMaterializedViewOfSomeRowsComesBack(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE DATABASE shop")
	server.Exec(t, "shop", `CREATE ROLE clerk; CREATE TABLE goods AS SELECT generate_series(1, 10) AS n; GRANT SELECT ON goods TO clerk; GRANT CREATE ON SCHEMA public TO clerk;
		CREATE FUNCTION inner_check(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n > 0';
		CREATE FUNCTION outer_check(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN inner_check(n); END';
		ALTER TABLE goods ADD CHECK (outer_check(n));
		ALTER TABLE goods ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON goods TO clerk USING (n < 4);
		SET ROLE clerk; CREATE MATERIALIZED VIEW seen AS SELECT * FROM goods`)
	for _, format := range []string{"plain", "custom"} {
		t.Run(format, func(t *testing.T) {
			config := newConfig(t, server.Environ()...)
			config.Format = format
			manifest := backUp(t, config, "shop")
			if err := restore(t.Context(), t, config, manifest.ID, "again"); err != nil {
				t.Fatal(err)
			}
			defer server.DropDatabase(t, "again")
			if got := server.Value(t, "again", "SELECT count(*) FROM seen"); got != "3" {
				t.Errorf("the view has %s rows", got)
			}
			if proof, err := prove(t, config, manifest.ID, nil); err != nil || proof.State != backup.TestRestoreSucceeded || proof.Rows != 10 {
				t.Errorf("%+v, %v", proof, err)
			}
		})
	}
}
