package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// The role of a confined restore goes with what it owns, and not before; who has a use for one keeps it.
func TestRolesOfRestoresGoWithWhatTheyOwn(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", `CREATE ROLE pgharbor_restore_gone; CREATE ROLE pgharbor_restore_given; CREATE ROLE pgharbor_restore_owner;
		CREATE ROLE pgharbor_restore_login LOGIN; CREATE ROLE pgharbor_restore_busy; CREATE ROLE pgharbor_restore_busy_1; CREATE ROLE "pgharbor_restore_Mine";
		CREATE ROLE pgharbor_restore_granted; CREATE ROLE pgharbor_restore_shared; CREATE ROLE somebody IN ROLE pgharbor_restore_shared; CREATE ROLE pgharbor`)
	server.CreateDatabase(t, "shop")
	server.CreateDatabase(t, "pgharbor_restore_busy")
	server.Exec(t, "shop", `CREATE SCHEMA a AUTHORIZATION pgharbor_restore_owner; CREATE SCHEMA b AUTHORIZATION pgharbor_restore_given; CREATE TABLE t (n int);
		GRANT SELECT ON t TO pgharbor_restore_granted; REASSIGN OWNED BY pgharbor_restore_given TO somebody; DROP OWNED BY pgharbor_restore_given`)
	instance := open(t, server.Environ()...)
	dropped, err := instance.DropOrphanRoles(t.Context())
	if diff := cmp.Diff([]string{"pgharbor_restore_given", "pgharbor_restore_gone"}, dropped); diff != "" || err != nil {
		t.Errorf("%v, dropped (-want +got):\n%s", err, diff)
	}
	if got := server.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgharbor%'"); got != "8" {
		t.Errorf("%s are left", got)
	}
	server.DropDatabase(t, "shop")
	server.DropDatabase(t, "pgharbor_restore_busy")
	dropped, err = instance.DropOrphanRoles(t.Context())
	if diff := cmp.Diff([]string{"pgharbor_restore_busy", "pgharbor_restore_busy_1", "pgharbor_restore_granted", "pgharbor_restore_owner"}, dropped); diff != "" || err != nil {
		t.Errorf("%v, dropped later (-want +got):\n%s", err, diff)
	}
}
