package scan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const dumpEnd = "--\n-- PostgreSQL database dump complete\n--\n\n"

// fakes are what a dump holds within strings, names and function bodies, and must be taken for nothing.
const fakes = "\nCOPY public.fake (a) FROM stdin;\n1\n\\.\n\n--\n-- PostgreSQL database dump complete\n--\n"

func scan(chunks ...string) *Scanner {
	s := NewScanner()
	for _, chunk := range chunks {
		_, _ = s.Write([]byte(chunk))
	}
	return s
}

func TestScanCountsTheRowsOfEachTable(t *testing.T) {
	for name, test := range map[string]struct {
		dump string
		want []TableRows
	}{
		"rows": {"COPY public.t (a, b) FROM stdin;\n1\tx\n2\ty\n\\.\n", []TableRows{{"public", "t", 2}}},
		"no rows": {"COPY public.t (a) FROM stdin;\n\\.\n\nCOPY public.u (a) FROM stdin;\n\\.\n",
			[]TableRows{{"public", "t", 0}, {"public", "u", 0}}},
		"no columns":  {"COPY public.t  FROM stdin;\n\n\n\n\\.\n", []TableRows{{"public", "t", 3}}},
		"no schema":   {"COPY t (a) FROM stdin;\nx\n\\.\n", []TableRows{{"", "t", 1}}},
		"no newline":  {"COPY s.t (a) FROM stdin;\nx\n\\.", []TableRows{{"s", "t", 0}}}, // not over yet: nothing is counted
		"CR LF":       {"COPY s.t (a) FROM stdin;\r\nx\r\n\\.\r\n", []TableRows{{"s", "t", 1}}},
		"twice":       {"COPY s.t (a) FROM stdin;\nx\n\\.\nCOPY s.u (a) FROM stdin;\n\\.\nCOPY s.t (a) FROM stdin;\nx\ny\n\\.\n", []TableRows{{"s", "t", 3}, {"s", "u", 0}}},
		"backslashes": {"COPY s.t (a) FROM stdin;\n\\\\.\n\\N\n\\\n\\.x\n\\.\rx\n.\n\\\\\n\\.\n", []TableRows{{"s", "t", 7}}},
		"quoted names": {`COPY "a ""b"".c"."new` + "\n" + `line; COPY x FROM stdin;" ("FROM", "stdin;") FROM stdin;` + "\nx\n\\.\n",
			[]TableRows{{`a "b".c`, "new\nline; COPY x FROM stdin;", 1}}},
		"unicode names": {"COPY schéma.\"表\" (ä) FROM stdin;\nx\n\\.\n", []TableRows{{"schéma", "表", 1}}},
		"keywords":      {`COPY "COPY"."FROM" ("stdin") FROM stdin;` + "\nx\n\\.\n", []TableRows{{"COPY", "FROM", 1}}},
		"lower case":    {"copy s.t(a) from STDIN with (format text);\nx\n\\.\n", []TableRows{{"s", "t", 1}}},
		"comments":      {"COPY /* ; */ s.t -- ;\n (a) FROM stdin;\nx\n\\.\n", []TableRows{{"s", "t", 1}}},
		"to stdout":     {"COPY s.t (a) TO stdout;\nSELECT 1;\n", nil},
		"from a file":   {"COPY s.t (a) FROM '/stdin';\nCOPY s.t FROM PROGRAM 'stdin';\n", nil},
		"not the start": {"SELECT 1 COPY s.t (a) FROM stdin;\nCREATE TABLE copy (copy int);\n", nil},
	} {
		if diff := cmp.Diff(test.want, scan(test.dump).Tables()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Each of these is one statement, or part of one, whose text holds a fake COPY and a fake end marker.
var disguises = map[string]string{
	"string":               "SELECT 'it''s" + fakes + "';",
	"string in pieces":     "SELECT 'a'\n'" + fakes + "';",
	"E string":             `SELECT E'\\\'` + fakes + `''\'';`,
	"E string in pieces":   "SELECT E'a' \n 'b\\'" + fakes + "';",
	"e string":             `SELECT 1,e'\'` + fakes + `';`,
	"plain string, then E": `SELECT 'a\', E'\'` + fakes + `';`,
	"name":                 `CREATE TABLE "a""b` + fakes + `" ();`,
	"name ending in E":     `SELECT nameE'\';` + "\n" + `SELECT 'x` + fakes + `';`,
	"dollar quote":         "CREATE FUNCTION f() AS $$'" + fakes + "$$;",
	"dollar quote, tagged": "CREATE FUNCTION f() AS $_$ $$ $_ $x$ $__$ \" /*" + fakes + "$_$;",
	"dollar quotes nested": "CREATE FUNCTION f() AS $a$ $b$" + fakes + "$b$" + fakes + "$a$;",
	"dollar tag, unicode":  "CREATE FUNCTION f() AS $ö1$ $ö$" + fakes + "$ö1$;",
	"dollar in a name":     "SELECT a$b$c, $1, 1$$" + fakes + "$$;",
	"comment":              "/* ' \" $$ -- " + fakes + "*/",
	"comments nested":      "/* /* */ /** **/" + fakes + "/*/ */ ***/",
	"after a minus":        "SELECT 1-'" + fakes + "' /'" + fakes + "';",
	"statement, unended":   "SELECT 1\n--\n-- PostgreSQL database dump complete\n--\n;",
	"backslash command":    "\\connect 'COPY s.t (a) FROM stdin;'",
}

func TestScanIsNotFooledByWhatStatementsHold(t *testing.T) {
	for name, text := range disguises {
		dump := text + "\nCOPY s.real (a) FROM stdin;\nx" + "\n\\.\n"
		if diff := cmp.Diff([]TableRows{{"s", "real", 1}}, scan(dump).Tables()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if scan(text, "\n").Complete() {
			t.Errorf("%s: the fake end marker is believed", name)
		}
		if !scan(text, "\n", dumpEnd).Complete() {
			t.Errorf("%s: the end marker after it is not seen", name)
		}
	}
}

func TestScanKnowsDumpsWhereBackslashesEscape(t *testing.T) {
	text := `SELECT 'it\'s` + fakes + `';` + "\nCOPY s.real (a) FROM stdin;\nx\n\\.\n" + dumpEnd
	for _, setting := range []string{"SET standard_conforming_strings = off;\n", "set standard_conforming_strings to OFF;\n"} {
		s := scan(setting, text)
		if diff := cmp.Diff([]TableRows{{"s", "real", 1}}, s.Tables()); diff != "" || !s.Complete() {
			t.Errorf("complete %v, %s", s.Complete(), diff)
		}
	}
	on := scan("SET standard_conforming_strings = on;\n", `SELECT '\', 'a`+fakes+`';`, dumpEnd)
	if !on.Complete() || on.Tables() != nil {
		t.Errorf("where they do not escape: complete %v, tables %v", on.Complete(), on.Tables())
	}
}

func TestScanSeesTheEndOfADump(t *testing.T) {
	for dump, want := range map[string]bool{
		"":                             false,
		dumpEnd:                        true,
		"SELECT 1;\n" + dumpEnd:        true,
		dumpEnd + "\\unrestrict x\n\n": true,
		"\\restrict x\n" + dumpEnd + "\\unrestrict x\n\n":    true,
		dumpEnd + "\\restrict x\n":                           false,
		dumpEnd + "\\unrestricted x\n":                       false,
		dumpEnd + "SELECT 1;\n":                              false,
		dumpEnd + ";":                                        false,
		dumpEnd + "'":                                        false,
		dumpEnd + "x":                                        false,
		dumpEnd + "\"x\"":                                    false,
		dumpEnd + "/* cut":                                   false,
		dumpEnd + "/* */ -- x\n":                             true,
		dumpEnd + "SELECT 1;" + dumpEnd:                      true,
		"COPY s.t (a) FROM stdin;\n" + dumpEnd:               false,
		"COPY s.t (a) FROM stdin;\n\\.\n" + dumpEnd:          true,
		"SELECT 1\n" + dumpEnd:                               false,
		"-- PostgreSQL database dump complete":               false,
		"-- PostgreSQL database dump complete.\n":            false,
		"--  PostgreSQL database dump complete\n":            false,
		"-- -- PostgreSQL database dump complete\n":          false,
		"-- PostgreSQL database cluster dump complete\n":     false,
		dumpEnd + "COPY s.t (a) FROM stdin;\n\\.\n":          false,
		dumpEnd + strings.Repeat("-- a comment\n", maxToken): true,
	} {
		if got := scan(dump).Complete(); got != want {
			t.Errorf("%.200q: complete %v, want %v", dump, got, want)
		}
	}
}

// A dump that was cut anywhere before its end marker's line is over is never taken for a whole one.
func TestScanTakesNoCutDumpForWhole(t *testing.T) {
	var dump strings.Builder
	for _, text := range disguises {
		fmt.Fprintf(&dump, "%s\nCOPY s.t (a) FROM stdin;\nx\n\\.\n", text)
	}
	body := dump.Len()
	dump.WriteString(dumpEnd)
	whole := strings.Index(dumpEnd, "complete\n") + len("complete\n")
	s := NewScanner()
	for i, c := range []byte(dump.String()) {
		if i == body+whole {
			break
		}
		if s.Complete() {
			t.Fatalf("complete after %d bytes, of %d before the end marker", i, body)
		}
		_, _ = s.Write([]byte{c})
	}
}

func TestScanBoundsItsMemory(t *testing.T) {
	huge := strings.Repeat("x", 4*maxToken)
	for name, text := range map[string]string{
		"comment": "-- " + huge + "\n", "word": huge + ";", "name": `"` + huge + `";`, "string": "'" + huge + "';", "tag": "$" + huge + "$ $" + huge + "$;",
		"command": "\\x " + huge + "\n",
	} {
		s := scan(text, dumpEnd)
		if cap(s.lexer.token) > 2*maxToken {
			t.Errorf("%s: %d bytes are kept", name, cap(s.lexer.token))
		}
		if name == "tag" && s.Complete() {
			t.Error("the end of a dollar quote whose tag was not kept is believed")
		}
	}
}

// aDump draws a dump of statements in disguise and of tables, and says which rows it has.
func aDump(t *rapid.T) (dump string, tables []TableRows) {
	names := []string{"t", "Ü b", `"`, "a.b", "x\ny", "FROM", "\\."}
	values := []string{"1", "\\N", "\\\\.", "", "text -- $$ '", "\\\\", ".", "\\t", "COPY s.t (a) FROM stdin;", strings.Repeat("long ", 50)}
	texts := slices.Sorted(func(yield func(string) bool) {
		for _, text := range disguises {
			if !yield(text) {
				return
			}
		}
	})
	quote := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	var out strings.Builder
	for range rapid.IntRange(0, 6).Draw(t, "parts") {
		if rapid.Bool().Draw(t, "statement") {
			out.WriteString(rapid.SampledFrom(texts).Draw(t, "text") + "\n")
			continue
		}
		table := TableRows{Schema: "s", Name: rapid.SampledFrom(names).Draw(t, "name")}
		fmt.Fprintf(&out, "COPY s.%s (a) FROM stdin;\n", quote(table.Name))
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			out.WriteString(rapid.SampledFrom(values).Draw(t, "value") + "\n")
			table.Rows++
		}
		out.WriteString("\\.\n\n")
		same := slices.IndexFunc(tables, func(other TableRows) bool { return other.Name == table.Name })
		if same < 0 {
			tables = append(tables, table)
		} else {
			tables[same].Rows += table.Rows
		}
	}
	return out.String() + dumpEnd, tables
}

func TestScanIsTheSameWhereverTheDumpIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dump, want := aDump(t)
		s := NewScanner()
		for rest := dump; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(1, 40).Draw(t, "chunk"))
			if got, err := s.Write([]byte(rest[:n])); got != n || err != nil {
				t.Fatalf("Write = %d, %v", got, err)
			}
			rest = rest[n:]
		}
		if diff := cmp.Diff(want, s.Tables()); diff != "" {
			t.Fatal(diff)
		}
		if !s.Complete() {
			t.Fatal("the end marker is not seen")
		}
	})
}

func FuzzScan(f *testing.F) {
	for _, text := range disguises {
		f.Add([]byte(text+"\nCOPY s.t (a) FROM stdin;\nx\n\\.\n"+dumpEnd), 7)
	}
	f.Add([]byte("SET standard_conforming_strings = off;\nSELECT '\\'';"+dumpEnd), 1)
	f.Fuzz(func(t *testing.T, dump []byte, size int) {
		size = max(1, size&63)
		whole, cut := scan(string(dump)), NewScanner()
		for chunk := range slices.Chunk(dump, size) {
			_, _ = cut.Write(chunk)
		}
		if diff := cmp.Diff(whole.Tables(), cut.Tables()); diff != "" {
			t.Error(diff)
		}
		if whole.Complete() != cut.Complete() {
			t.Errorf("complete: %v as a whole, %v in pieces of %d", whole.Complete(), cut.Complete(), size)
		}
		if whole.Complete() && !bytes.Contains(dump, []byte("-- PostgreSQL database dump complete\n")) &&
			!bytes.Contains(dump, []byte("-- PostgreSQL database dump complete\r")) {
			t.Error("an end marker is seen where there is none")
		}
	})
}

func benchmarkScan(b *testing.B, before, text string) {
	chunk := []byte(strings.Repeat(text, 1<<20/len(text)))
	s := scan(before)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		_, _ = s.Write(chunk)
	}
}

func BenchmarkScanRows(b *testing.B) {
	benchmarkScan(b, "COPY s.t (a) FROM stdin;\n",
		"1234567\tsome text of a customer\t{\"a\": \"json \\\\n\"}\t2026-11-23 01:00:00+00\t\\\\xdeadbeef\n")
}

func BenchmarkScanShortRows(b *testing.B) { benchmarkScan(b, "COPY s.t (a) FROM stdin;\n", "123456\n") }

func BenchmarkScanStatements(b *testing.B) {
	benchmarkScan(b, "", "CREATE TABLE public.customers (\n    id bigint NOT NULL,\n    name text DEFAULT 'nobody'::text\n);\n\n--\n-- Name: x; Type: TABLE\n--\n")
}

func BenchmarkScanLargeObjects(b *testing.B) {
	benchmarkScan(b, "", "SELECT pg_catalog.lowrite(0, '\\x"+strings.Repeat("0123456789abcdef", 2000)+"');\n")
}

func BenchmarkScanEscapes(b *testing.B) {
	benchmarkScan(b, "", "SELECT E'"+strings.Repeat(`\\`, 10000)+"';\n")
}

func BenchmarkScanFunctionBodies(b *testing.B) {
	benchmarkScan(b, "", "CREATE FUNCTION f() RETURNS int AS $_$\nBEGIN\n"+strings.Repeat("  x := $1 || 'text' -- more\n", 50)+"END $_$;\n")
}
