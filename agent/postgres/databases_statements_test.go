package postgres

import "testing"

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
