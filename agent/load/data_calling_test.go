package load

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// Tables whose rows may run anybody's code by a function of the server's own, or of an extension, are loaded one after the other. Those that
// compute what everybody's checks do are not: they are most of a database.
func TestWhatCallsNobodysCodeIsLoadedBesideOthers(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", `CREATE EXTENSION citext; CREATE EXTENSION unaccent; CREATE DOMAIN mail AS citext CHECK (VALUE ~ '@'); CREATE DOMAIN odd AS int CHECK (schema_to_xml('x', true, false, '') IS NOT NULL);
		CREATE TABLE by_key (n int) PARTITION BY LIST ((satisfies_hash_partition(0, 1, 0, n)))`)
	tables, late := []string{}, map[string]bool{}
	for name, test := range map[string]struct {
		sql  string
		late bool
	}{
		"plain":      {`n int DEFAULT pg_backend_pid(), s text DEFAULT to_char(now(), 'YYYY')`, false},
		"kinds":      {`s text CHECK (s = ANY (ARRAY['a', 'b'])), n numeric(9, 2) CHECK (n > 0 AND n::int < 9), e text CHECK (lower(e) = e AND length(e) < 9 AND e ~ '^.')`, false},
		"days":       {`a timestamptz, b timestamptz, d date, i interval, CHECK (a < b + i AND d <= a AND a < now()), CHECK (date_trunc('day', a) = a AND extract(hour FROM a) < 9 AND a::date > d)`, false},
		"found":      {`s text, j jsonb CHECK (jsonb_typeof(j) = 'object'), r daterange CHECK (NOT isempty(r)), v tsvector GENERATED ALWAYS AS (to_tsvector('english', s)) STORED`, false},
		"texts":      {`s text, n int, a text[], CHECK (s || n <> '' AND concat(s, n) <> '' AND array_to_string(a, ',') <> s AND s <> current_setting('app.tenant', true))`, false},
		"mails":      {`m mail, c citext CHECK (c <> '')`, false},
		"by_xml":     {`n int CHECK (table_to_xml('pg_class', true, false, '') IS NOT NULL)`, true},
		"by_query":   {`n int CHECK (query_to_xml('SELECT 1', true, false, '') IS NOT NULL)`, true},
		"by_json":    {`n int, CHECK (to_json(n) IS NOT NULL)`, true},
		"by_domain":  {`n odd`, true},
		"by_hash":    {`r regclass, CHECK (satisfies_hash_partition(r, 1, 0, 1))`, true},
		"by_column":  {`r regclass, b boolean GENERATED ALWAYS AS (satisfies_hash_partition(r, 1, 0, 1)) STORED`, true},
		"by_foreign": {`s text CHECK (unaccent(s) = s)`, true},
	} {
		server.Exec(t, "postgres", "CREATE TABLE "+name+" ("+test.sql+")")
		tables = append(tables, "public."+name)
		if test.late {
			late["public."+name] = true
		}
	}
	server.Exec(t, "postgres", "CREATE TABLE part PARTITION OF by_key DEFAULT")
	tables, late["public.part"] = append(tables, "public.part"), true
	settings, err := postgres.SettingsFrom(server.Environ())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close()
	conn, err := instance.Connect(t.Context(), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	got, err := callingTables(t.Context(), conn, tables, "true", mayRun)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(late, got); diff != "" {
		t.Errorf("tables that wait (-want +got):\n%s", diff)
	}
	got, err = callingTables(t.Context(), conn, tables, mayQuery(postgres.Server{}), mayRead) // where there is nobody else
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"public.by_query": true}, got); diff != "" {
		t.Errorf("tables of one owner that wait (-want +got):\n%s", diff)
	}
}
