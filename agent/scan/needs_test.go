package scan

import (
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

func TestScanFindsWhatADumpNeeds(t *testing.T) {
	for sql, want := range map[string]Needs{
		"CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;":              {Extensions: []string{"hstore"}},
		`CREATE EXTENSION "uuid-ossp";`:                                          {Extensions: []string{"uuid-ossp"}},
		"COMMENT ON EXTENSION hstore IS 'x';":                                    {},
		"ALTER TABLE public.t OWNER TO Ada;":                                     {Owners: []string{"ada"}, Members: []string{"ada"}},
		`ALTER FUNCTION public.f(a text) OWNER TO "Ada L";`:                      {Owners: []string{"Ada L"}, Members: []string{"Ada L"}},
		"ALTER TABLE t RENAME TO u;":                                             {},
		"GRANT SELECT(a, b) ON TABLE public.t TO bob WITH GRANT OPTION;":         {Roles: []string{"bob"}},
		"GRANT ALL ON SCHEMA public TO PUBLIC;":                                  {},
		`GRANT ALL ON SCHEMA public TO "PUBLIC";`:                                {Roles: []string{"PUBLIC"}},
		"REVOKE USAGE ON SCHEMA public FROM bob;":                                {Roles: []string{"bob"}},
		"CREATE POLICY p ON t FOR SELECT TO bob, \"C\", PUBLIC USING ((a > 0));": {Roles: []string{"C", "bob"}},
		"CREATE POLICY p ON t USING ((a IN ( SELECT x.TO FROM x)));":             {},
		"ALTER DEFAULT PRIVILEGES FOR ROLE ada IN SCHEMA s GRANT SELECT ON TABLES TO bob;": {
			Owners: []string{"ada", "bob"}, Members: []string{"ada"}},
		"ALTER DEFAULT PRIVILEGES FOR ROLE ada REVOKE ALL ON TABLES FROM bob;": {Owners: []string{"ada", "bob"}, Members: []string{"ada"}},
		"CREATE USER MAPPING FOR bob SERVER s OPTIONS (\"user\" 'x');":         {Roles: []string{"bob"}},
		"SET default_tablespace = fast;":                                       {Tablespaces: []string{"fast"}},
		`SET default_tablespace = "Fa st";`:                                    {Tablespaces: []string{"Fa st"}},
		"SET default_tablespace = '';":                                         {},
		"SET default_table_access_method = heap;":                              {},
		"CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();":      {EventTriggers: 1},
		"SELECT 'GRANT ALL ON t TO bob;';":                                     {},
		"CREATE FUNCTION f() AS $$ GRANT ALL ON t TO bob; $$;":                 {},
		"-- GRANT ALL ON t TO bob;\n":                                          {},
		"COPY t (a) FROM stdin;\nGRANT ALL ON t TO bob;\n\\.\n":                {},
		"GRANT ALL ON t TO bob;GRANT ALL ON t TO bob;GRANT ALL ON t TO a":      {Roles: []string{"a", "bob"}},
	} {
		if diff := cmp.Diff(want, scan(sql, "\n").Needs()); diff != "" {
			t.Errorf("%s\n%s", sql, diff)
		}
		bytewise := NewScanner()
		for _, c := range []byte(sql) {
			_, _ = bytewise.Write([]byte{c})
		}
		_, _ = bytewise.Write([]byte("\n"))
		if diff := cmp.Diff(want, bytewise.Needs()); diff != "" {
			t.Errorf("%s, a byte at a time\n%s", sql, diff)
		}
	}
}

// What pg_dump itself writes is understood, of both formats.
func TestScanFindsWhatPgDumpNeeds(t *testing.T) {
	server := postgrestest.Shared(t)
	server.Exec(t, "postgres", `CREATE ROLE "needs Owner"; CREATE ROLE needs_reader; CREATE ROLE needs_default; CREATE ROLE needs_policy`)
	t.Cleanup(func() { // after the database
		server.Exec(t, "postgres", `DROP ROLE "needs Owner", needs_reader, needs_default, needs_policy`)
	})
	server.CreateDatabase(t, "needs")
	server.Exec(t, "needs", `CREATE TABLE held (a int); ALTER TABLE held OWNER TO "needs Owner"; GRANT SELECT (a) ON held TO needs_reader;
		ALTER DEFAULT PRIVILEGES FOR ROLE "needs Owner" GRANT SELECT ON TABLES TO needs_default;
		ALTER TABLE held ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON held TO needs_policy USING (a > 0);
		CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE EVENT TRIGGER watching ON sql_drop EXECUTE FUNCTION watch()`)
	dump := "'" + server.Bin + "/pg_dump' needs"
	for _, script := range []string{dump, dump + " -Fc | '" + server.Bin + "/pg_restore' -f -"} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Env = server.Environ()
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		want := Needs{Owners: []string{"needs Owner", "needs_default", "postgres"}, Members: []string{"needs Owner", "postgres"}, Roles: []string{"needs_policy", "needs_reader"}, EventTriggers: 1}
		if diff := cmp.Diff(want, scan(string(out)).Needs()); diff != "" {
			t.Errorf("%s: %s", script, diff)
		}
	}
}

// Whatever goes by, it is the same wherever it was cut.
func FuzzScanNeeds(f *testing.F) {
	f.Add([]byte("GRANT ALL ON t TO bob, \"C\";CREATE EXTENSION x;"), uint8(5))
	f.Fuzz(func(t *testing.T, sql []byte, cut uint8) {
		at := min(int(cut), len(sql))
		if diff := cmp.Diff(scan(string(sql)).Needs(), scan(string(sql[:at]), string(sql[at:])).Needs()); diff != "" {
			t.Error(diff)
		}
	})
}
