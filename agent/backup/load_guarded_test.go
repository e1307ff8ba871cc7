package backup_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// An agent that is no superuser restores what belongs to roles that it is a member of, code and all, where it may make logins;
// and where it may not, it says so and leaves nothing.
func TestAnAgentThatIsNoSuperuserLoadsAsTheOwners(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE app; CREATE ROLE agent LOGIN CREATEDB; GRANT pg_read_all_data, app TO agent")
	server.Exec(t, "postgres", "CREATE DATABASE shop OWNER app")
	server.Exec(t, "shop", `GRANT ALL ON SCHEMA public TO app; SET ROLE app;
		CREATE FUNCTION fine(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n > 0';
		CREATE TABLE goods (n int PRIMARY KEY CHECK (fine(n)), twice int GENERATED ALWAYS AS (n * 2) STORED);
		CREATE FUNCTION inner_one(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n'; CREATE FUNCTION outer_one(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT inner_one(n)';
		CREATE TABLE found (n int, same int GENERATED ALWAYS AS (outer_one(n)) STORED); CREATE TABLE parts (n int) PARTITION BY RANGE (outer_one(n));
		INSERT INTO goods SELECT generate_series(1, 10); CREATE INDEX ON goods (n) WHERE fine(n)`)
	for _, format := range []string{"plain", "custom"} {
		config := newConfig(t, append(server.Environ(), "PGUSER=agent")...)
		config.Format = format
		manifest := backUp(t, config, "shop")
		server.Exec(t, "postgres", "ALTER ROLE agent NOCREATEROLE")
		err := restore(t.Context(), t, config, manifest.ID, "again")
		if errors.Is(err, backup.ErrContent) || !postgres.LacksLogin(err) || !strings.Contains(err.Error(), "needs CREATEROLE") {
			t.Errorf("%s: without CREATEROLE: %v", format, err)
		}
		server.Exec(t, "postgres", "ALTER ROLE agent CREATEROLE")
		if err := restore(t.Context(), t, config, manifest.ID, "again"); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if got := server.Value(t, "again", "SELECT sum(twice) || ' ' || (SELECT tableowner FROM pg_tables WHERE tablename = 'goods') FROM goods"); got != "110 app" {
			t.Errorf("%s: %s", format, got)
		}
		if got := server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgharbor%'"); got != "0" {
			t.Errorf("%s: %s roles are left", format, got)
		}
		server.DropDatabase(t, "again")
	}
}
