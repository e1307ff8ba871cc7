package output_test

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/pgharbor/pgharbor/cli/internal/output"
)

func TestName(t *testing.T) {
	tests := map[string]string{
		"shop":                    "shop",
		"Größe ☕ 数据":              "Größe ☕ 数据",
		"it's \"quoted\"":         `it's "quoted"`,
		"a\nb\tc":                 `a\nb\tc`,
		`a\nb`:                    `a\\nb`,
		"\x1b[2Jgone":             `\x1b[2Jgone`,
		"\u202etxt.exe":           `\u202etxt.exe`,
		"zero\u200bwidth":         `zero\u200bwidth`,
		"del\x7f c1\u009b31m":     `del\x7f c1\u009b31m`,
		"bad\xff\xfeutf8":         `bad\xff\xfeutf8`,
		" padded  ":               `\x20padded\x20\x20`,
		"":                        "",
		"  ":                      `\x20\x20`,
		"real \ufffd replacement": "real \ufffd replacement",
	}
	for name, want := range tests {
		if got := output.Name(name); got != want {
			t.Errorf("Name(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestLineIsOneLine(t *testing.T) {
	tests := map[string]string{
		"pg_dump: error: connection lost\r\npg_dump: detail: x\n\n": "pg_dump: error: connection lost; pg_dump: detail: x",
		`already "esc\naped"`: `already "esc\naped"`,
		"tab\there":           "tab here",
		"\x1b]0;title\x07":    `\x1b]0;title\a`,
		"line\u2028separator": `line\u2028separator`,
		"\n\n":                "",
	}
	for text, want := range tests {
		if got := output.Line(text); got != want {
			t.Errorf("Line(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestShortCutsCharactersNotBytes(t *testing.T) {
	if got := output.Short("äöüäöü", 4); got != "äöü…" {
		t.Errorf("Short = %q", got)
	}
	if got := output.Short("äöüä", 4); got != "äöüä" {
		t.Errorf("Short = %q", got)
	}
}

// Whatever the name, a terminal only prints, and two names never look the same.
func TestNamesAreHarmlessAndDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few enough letters that names which could be mistaken for each other come up.
		names := rapid.OneOf(rapid.StringOf(rapid.RuneFrom([]rune{' ', '"', '\\', 'x', '2', '0', '\n', 'n', '\u202e'})),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		one, two := names.Draw(t, "one"), names.Draw(t, "two")
		shown := output.Name(one)
		if strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q is shown as %q", one, shown)
		}
		if one != two && shown == output.Name(two) {
			t.Fatalf("%q and %q are both shown as %s", one, two, shown)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("\x1b[31m\u202e\xff\\")
	f.Fuzz(func(t *testing.T, name string) {
		for _, shown := range []string{output.Name(name), output.Line(name)} {
			if strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q is shown as %q", name, shown)
			}
		}
	})
}
