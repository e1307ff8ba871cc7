package postgres_test

import (
	"slices"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// Who only asks a server needs no folder and no programs of PostgreSQL: a connection is enough.
func TestPartsThatOnlyAskNeedNoToolsAndNoFolder(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "apart")
	server.Exec(t, "apart", "CREATE TABLE goods (id int)")
	t.Cleanup(func() { server.DropDatabase(t, "apart") })
	settings, err := postgres.SettingsFrom(append(server.Environ(), "PATH=", "HOME="))
	if err != nil {
		t.Fatal(err)
	}
	connection := postgres.NewConnection(settings)
	found, err := postgres.NewDatabaseAdmin(connection).Database(t.Context(), "apart")
	if err != nil || found.Name != "apart" {
		t.Errorf("%+v is found: %v", found, err)
	}
	tables, err := postgres.NewContents(connection).Tables(t.Context(), "apart")
	if want := []postgres.Table{{Schema: "public", Name: "goods"}}; err != nil || !slices.Equal(tables, want) {
		t.Errorf("%+v are in it, want %+v: %v", tables, want, err)
	}
	missing, err := postgres.NewRoleAdmin(connection).MissingRoles(t.Context(), []string{"postgres", "nobody_has_this"})
	if want := []string{"nobody_has_this"}; err != nil || !slices.Equal(missing, want) {
		t.Errorf("%q are missing, want %q: %v", missing, want, err)
	}
	if lacks, err := postgres.NewPreflight(connection).MayReplace(t.Context(), "apart"); err != nil || lacks != "" {
		t.Errorf("a superuser lacks %q: %v", lacks, err)
	}
}
