package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// What PostgreSQL 16 writes of a membership is told to an older server as far as that knows it.
func TestMembershipOnOtherVersions(t *testing.T) {
	for number, want := range map[int]string{
		150000: `GRANT "a" TO "b" WITH ADMIN OPTION`,
		160000: `GRANT "a" TO "b" WITH ADMIN OPTION, INHERIT TRUE`,
	} {
		maker := &roleMaker{missing: []string{"b"}, server: Server{Number: number}, groups: map[string]bool{"a": true}}
		got := maker.statements(dump.SplitScript([]byte("GRANT a TO b WITH ADMIN OPTION, INHERIT TRUE GRANTED BY postgres;\nGRANT a TO c;\nGRANT x TO b;\n")))
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%d: %s", number, diff)
		}
	}
}

// onlyMakes fails where a statement does anything but make one role, without what is strong, a member of the other.
func onlyMakes(t *testing.T, sql, role, group string) {
	t.Helper()
	again := dump.SplitScript([]byte(sql + ";"))
	if len(again) != 1 {
		t.Fatalf("%q is %d statements", sql, len(again))
	}
	s := again[0]
	about := map[string]string{"CREATE": s.Name(2), "ALTER": s.Name(2), "COMMENT": s.Name(3), "SECURITY": s.Name(6), "GRANT": s.Name(3)}[s.Name(0)]
	if about != role || s.Name(0) == "GRANT" && s.Name(1) != group {
		t.Errorf("%q is about %q", sql, about)
	}
	for _, w := range s.Words {
		if !w.Quoted && slices.Contains(strong, strings.ToUpper(w.Text)) {
			t.Errorf("%q has %s", sql, w.Text)
		}
	}
}

// Whatever a script is made to look like, to this reader or to a server with other ideas of a string, only what was
// understood is run.
func TestNothingIsSmuggledInWithARole(t *testing.T) {
	for script, want := range map[string][]string{
		`ALTER ROLE b WITH PASSWORD 'x\'' SUPERUSER PASSWORD ''';`:                            {`ALTER ROLE "b" WITH PASSWORD E'x\\'' SUPERUSER PASSWORD '''`},
		`ALTER ROLE b WITH PASSWORD E'x\' SUPERUSER PASSWORD E\'';`:                           nil,
		"ALTER ROLE b WITH LOGIN USER postgres;":                                              nil,
		"ALTER ROLE b WITH LOGIN SUPERUSER CREATEROLE CREATEDB;":                              {`ALTER ROLE "b" WITH LOGIN`},
		"ALTER ROLE b WITH LOGIN IN ROLE a;":                                                  nil,
		"ALTER ROLE b IN DATABASE x SET work_mem TO '1MB';":                                   nil,
		"ALTER ROLE b SET work_mem TO DEFAULT;":                                               nil,
		"ALTER ROLE b SET work_mem TO '1MB', (SELECT 1);":                                     nil,
		"ALTER ROLE b SET session_preload_libraries TO 'x';":                                  nil,
		"ALTER ROLE b SET plperl.on_plperl_init TO 'x'; ALTER ROLE b SET \"A.Known\" TO 'x';": nil,
		"ALTER ROLE b SET app.x TO 'y';":                                                      {`ALTER ROLE "b" SET "app.x" TO E'y'`},
		"ALTER ROLE postgres WITH PASSWORD 'x'; ALTER ROLE ALL SET x TO 'y';":                 nil,
		"CREATE ROLE b SUPERUSER; CREATE ROLE b IN ROLE postgres;":                            nil,
		"GRANT pg_execute_server_program TO b; GRANT b TO postgres;":                          nil,
		"GRANT a TO b, c; GRANT SELECT ON t TO b;":                                            nil,
		"GRANT a TO b WITH ADMIN OPTION GRANTED BY postgres;":                                 {`GRANT "a" TO "b" WITH ADMIN OPTION`},
		"DO $$ BEGIN EXECUTE 'DROP ROLE b'; END $$; COPY x TO PROGRAM 'y';":                   nil,
		"COMMENT ON ROLE b IS 'x' || (SELECT 'y');":                                           nil,
	} {
		maker := &roleMaker{missing: []string{"b"}, groups: map[string]bool{"a": true, "b": true}, settings: freeSettings{known: map[string]bool{"work_mem": true, "a.known": false}, modules: map[string]bool{"plperl": true}}}
		got := maker.statements(dump.SplitScript([]byte(script)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", script, diff)
		}
		for _, sql := range got {
			onlyMakes(t, sql, "b", "a")
		}
	}
}

func FuzzSplitScript(f *testing.F) {
	f.Add([]byte("CREATE ROLE \"a\"\"\";\nALTER ROLE a WITH PASSWORD E'\\'';--\n"))
	f.Fuzz(func(t *testing.T, script []byte) {
		maker := &roleMaker{missing: []string{"a"}, groups: map[string]bool{"b": true}}
		statements := dump.SplitScript(script)
		for _, s := range statements {
			for _, w := range s.Words {
				if w.Start < 0 || w.End <= w.Start || w.End > len(s.SQL) {
					t.Fatalf("word %+v of %q", w, s.SQL)
				}
			}
		}
		for _, sql := range maker.statements(statements) {
			onlyMakes(t, sql, "a", "b")
		}
	})
}
