package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// Rows are counted where the server can't plan a query of their table: the function of an index looks for names in a path.
func TestRowsAreCountedWhereAnIndexLooksForNames(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "counted")
	t.Cleanup(func() { server.DropDatabase(t, "counted") })
	server.Exec(t, "counted", `CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i * 2';
		CREATE FUNCTION lost(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT twice($1)';
		CREATE TABLE wide (t text, "a ""b" int, g int GENERATED ALWAYS AS (1) STORED); INSERT INTO wide SELECT 'x', n FROM generate_series(1, 3) n;
		CREATE TABLE parts (i int) PARTITION BY LIST (i); CREATE TABLE part PARTITION OF parts FOR VALUES IN (1, 2); INSERT INTO parts VALUES (1), (2);
		CREATE INDEX ON wide (lost("a ""b")); CREATE INDEX ON parts (lost(i))`)
	settings, err := postgres.SettingsFrom(server.Environ())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close()
	counts, err := instance.CountRows(t.Context(), "counted", []postgres.Table{{Name: "wide"}, {Name: "parts"}, {Name: "part"}}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]postgres.TableCount{{Rows: 3}, {}, {Rows: 2}}, counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
