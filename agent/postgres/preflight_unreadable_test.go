package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

func TestWhatARoleCannotRead(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "guarded")
	server.Exec(t, "guarded", `CREATE ROLE reader LOGIN;
		CREATE TABLE open (id int); GRANT SELECT ON open TO reader;
		CREATE TABLE closed (id serial);
		CREATE TABLE veiled (id int); GRANT SELECT ON veiled TO reader; ALTER TABLE veiled ENABLE ROW LEVEL SECURITY;
		CREATE SCHEMA shut; CREATE TABLE shut.inside (id int); GRANT SELECT ON shut.inside TO reader;
		SELECT lo_create(n) FROM generate_series(4711, 4715) n; GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC; GRANT SELECT ON LARGE OBJECT 4712 TO reader;
		CREATE ROLE member LOGIN IN ROLE reader, pg_read_all_data; ALTER LARGE OBJECT 4713 OWNER TO reader`)
	t.Cleanup(func() {
		server.DropDatabase(t, "guarded")
		server.Exec(t, "postgres", "DROP ROLE member, reader")
	})
	for user, want := range map[string][]string{
		"postgres": nil,
		"reader":   {"public.closed", "public.closed_id_seq", "public.veiled (row security hides rows of it)", "shut.inside", "large object 4714 and 1 more"},
		"member":   {"public.veiled (row security hides rows of it)", "large object 4714 and 1 more"},
	} {
		settings, err := postgres.SettingsFrom(append(server.Environ(), "PGUSER="+user))
		if err != nil {
			t.Fatal(err)
		}
		instance, err := postgres.Open(settings, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer instance.Close()
		got, err := instance.Unreadable(t.Context(), "guarded")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", user, diff)
		}
		now, err := instance.Clock(t.Context())
		if skew := time.Since(now).Abs(); err != nil || skew > time.Minute {
			t.Errorf("the server's clock: %s, %s off: %v", now, skew, err)
		}
	}
}
