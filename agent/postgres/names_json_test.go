package postgres_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// Every name comes back from JSON as it was, and no two become one. What older versions wrote is read as it stands there.
func TestNamesComeBackFromJSON(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"", "plain", "straße", "表", "t\xe4g", "t\xf6g", "t\uFFFDg", "\xff\xfe", "e4", "\xe4e4", "\x00e4", "\x00", "a\x00zz", `\u0000e4`, "\xc3\xa4", "\xed\xa0\x80",
	} {
		escaped := postgres.EscapeName(name)
		if other, ok := seen[escaped]; ok || !utf8.ValidString(escaped) {
			t.Errorf("%q becomes %q, as %q does", name, escaped, other)
		}
		seen[escaped] = name
		text, err := json.Marshal(escaped)
		if err != nil {
			t.Fatal(err)
		}
		var read string
		if err := json.Unmarshal(text, &read); err != nil || postgres.UnescapeName(read) != name {
			t.Errorf("%q comes back as %q, %v", name, postgres.UnescapeName(read), err)
		}
	}
	for _, old := range []string{"t\uFFFDg", "\x00", "\x00g0", "\x0061", "\x00E4"} {
		if got := postgres.UnescapeName(old); got != old {
			t.Errorf("%q is read as %q", old, got)
		}
	}
}

func TestPropertiesComeBackFromJSON(t *testing.T) {
	want := postgres.Properties{
		Owner: "m\xfcller", Comment: "\xfc", ConnectionLimit: -1, Grants: []postgres.Grant{{Role: "\xe4", Privilege: "CONNECT"}},
		Settings: []postgres.Setting{{Role: "\xe4", Name: "application_name", Value: "\xff"}}, Labels: []postgres.Label{{Provider: "x", Text: "\xfe"}},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got postgres.Properties
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
