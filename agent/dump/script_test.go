package dump_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/dump"
)

func TestSplitScript(t *testing.T) {
	script := "--\n-- a; comment\n--\n\n\\restrict abc;\nSET x = on;\nCREATE ROLE \"a;\"\"b\";\n" +
		"COMMENT ON ROLE r IS 'it''s; \n-- no comment';\nALTER ROLE r WITH PASSWORD E'\\'; \\\\' VALID UNTIL 'x';\n" +
		"GRANT a TO b WITH ADMIN OPTION, INHERIT TRUE GRANTED BY postgres;\n-- end\nunended"
	var got []string
	for _, s := range dump.SplitScript([]byte(script)) {
		var words []string
		for _, w := range s.Words {
			words = append(words, w.Text)
			if !w.Quoted && s.SQL[w.Start:w.End] != w.Text {
				t.Errorf("%q is at %q", w.Text, s.SQL[w.Start:w.End])
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
