package postgres

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitScript(t *testing.T) {
	script := "--\n-- a; comment\n--\n\n\\restrict abc;\nSET x = on;\nCREATE ROLE \"a;\"\"b\";\n" +
		"COMMENT ON ROLE r IS 'it''s; \n-- no comment';\nALTER ROLE r WITH PASSWORD E'\\'; \\\\' VALID UNTIL 'x';\n" +
		"GRANT a TO b WITH ADMIN OPTION, INHERIT TRUE GRANTED BY postgres;\n-- end\nunended"
	var got []string
	for _, s := range splitScript([]byte(script)) {
		var words []string
		for _, w := range s.words {
			words = append(words, w.text)
			if !w.quoted && s.sql[w.start:w.end] != w.text {
				t.Errorf("%q is at %q", w.text, s.sql[w.start:w.end])
			}
		}
		got = append(got, strings.Join(words, "|"))
	}
	want := []string{
		"SET|x|=|on", `CREATE|ROLE|a;"b`, "COMMENT|ON|ROLE|r|IS|it''s; \n-- no comment",
		`ALTER|ROLE|r|WITH|PASSWORD|\'; \\|VALID|UNTIL|x`, "GRANT|a|TO|b|WITH|ADMIN|OPTION|,|INHERIT|TRUE|GRANTED|BY|postgres",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What PostgreSQL 16 writes of a membership is told to an older server as far as that knows it.
func TestMembershipOnOtherVersions(t *testing.T) {
	for number, want := range map[int]string{
		150000: `GRANT "a" TO "b" WITH ADMIN OPTION`,
		160000: `GRANT "a" TO "b" WITH ADMIN OPTION, INHERIT TRUE`,
	} {
		maker := roleMaker{missing: []string{"b"}, server: Server{Number: number}, groups: map[string]bool{"a": true}}
		got := maker.statements(splitScript([]byte("GRANT a TO b WITH ADMIN OPTION, INHERIT TRUE GRANTED BY postgres;\nGRANT a TO c;\nGRANT x TO b;\n")))
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%d: %s", number, diff)
		}
	}
}

func FuzzSplitScript(f *testing.F) {
	f.Add([]byte("CREATE ROLE \"a\"\"\";\nALTER ROLE a WITH PASSWORD E'\\'';--\n"))
	f.Fuzz(func(t *testing.T, script []byte) {
		maker := roleMaker{missing: []string{"a"}, groups: map[string]bool{"b": true}}
		statements := splitScript(script)
		for _, s := range statements {
			for _, w := range s.words {
				if w.start < 0 || w.end <= w.start || w.end > len(s.sql) {
					t.Fatalf("word %+v of %q", w, s.sql)
				}
			}
		}
		maker.statements(statements)
	})
}

func TestSettingsThatAreLists(t *testing.T) {
	for value, want := range map[string]string{
		`"$user", public`:  " E'$user', E'public'",
		`"a, ""b""", c`:    ` E'a, "b"', E'c'`,
		`""`:               " E''",
		``:                 " E''",
		`pg_catalog,  "x"`: " E'pg_catalog', E'x'",
	} {
		if got := (Setting{Name: "search_path", Value: value}).value(); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
	if got := (Setting{Name: "app.names", Value: `"a", b`}).value(); got != ` E'"a", b'` {
		t.Errorf("not a list: %s", got)
	}
}
