package job

import (
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// The regular look of the agent drops the role of a sandboxed restore whose database was dropped.
func TestTheRoleOfASandboxedRestoreGoesWithItsDatabase(t *testing.T) {
	server := postgrestest.Start(t)
	r := newRunner(t, func(c *Config) { c.Engine.Instance = instanceOf(t, server) })
	server.CreateDatabase(t, "washed")
	server.Exec(t, "postgres", "CREATE ROLE pgharbor_restore_washed; ALTER DATABASE washed OWNER TO pgharbor_restore_washed")
	for _, want := range []string{"1", "0"} {
		r.orphans.dropRoles(t.Context())
		if got := server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'pgharbor_restore_washed'"); got != want {
			t.Errorf("%s roles, want %s", got, want)
		}
		server.DropDatabase(t, "washed")
	}
}
