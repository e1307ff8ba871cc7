package fleet_test

import (
	"path"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func TestMatchGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "anything/at all", true},
		{"prod-*", "prod-1", true},
		{"prod-*", "prod-", true},
		{"prod-*", "preprod-1", false},
		{"*-db", "shop-db", true},
		{"*-db", "shop-db-2", false},
		{"a*b*c", "aXXbYYc", true},
		{"a*b*c", "aXXcYYb", false},
		{"db?", "db1", true},
		{"db?", "db", false},
		{"db?", "db12", false},
		{"?", "ä", true},
		{"[a]", "a", false},
		{"db.1", "db-1", false},
	} {
		if got := fleet.MatchGlob(tt.pattern, tt.text); got != tt.want {
			t.Errorf("MatchGlob(%q, %q) = %t", tt.pattern, tt.text, got)
		}
	}
	// It does not take forever.
	fleet.MatchGlob(strings.Repeat("a*", 50)+"b", strings.Repeat("a", 200))
}

// If a text has no slash and a pattern only * and ?, the standard library's matcher agrees.
func FuzzMatchGlob(f *testing.F) {
	f.Add("a*b?", "aXbY")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if strings.ContainsAny(pattern+text, "/[]\\") || len(pattern) > 30 || len(text) > 30 ||
			strings.ToValidUTF8(pattern, "") != pattern || strings.ToValidUTF8(text, "") != text {
			return
		}
		want, err := path.Match(pattern, text)
		if err != nil {
			return
		}
		if got := fleet.MatchGlob(pattern, text); got != want {
			t.Errorf("MatchGlob(%q, %q) = %t, path.Match says %t", pattern, text, got, want)
		}
	})
}

func TestGlobsMeet(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"", "*", true},
		{"", "?", false},
		{"prod-*/*", "prod-1/shop", true},
		{"prod-*/*", "*/scratch", true},
		{"prod-*/*", "*", true},
		{"prod-*/*", "p*", true},
		{"prod-*/*", "dev-1/*", false},
		{"prod-*/*", "*-1/shop", true},
		{"prod-?/*", "prod-12/*", false},
		{"a*b", "b*a", false},
		{"a*", "*b", true},
		{"a?c", "ab?", true},
		{"a?c", "ab?d", false},
	} {
		for _, pair := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got := fleet.GlobsMeet(pair[0], pair[1]); got != tt.want {
				t.Errorf("GlobsMeet(%q, %q) = %t", pair[0], pair[1], got)
			}
		}
	}
}

// Two short patterns meet where one of the texts that they could match is matched by
// both.
func FuzzGlobsMeet(f *testing.F) {
	f.Add("a*b?", "?*b")
	f.Add("*a", "b*")
	texts := []string{""}
	for n := 0; n < len(texts) && len(texts[n]) < 6; n++ {
		for _, c := range "abx" {
			texts = append(texts, texts[n]+string(c))
		}
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 6 || strings.Trim(a+b, "ab*?") != "" {
			return
		}
		want := false
		for _, text := range texts {
			want = want || fleet.MatchGlob(a, text) && fleet.MatchGlob(b, text)
		}
		if got := fleet.GlobsMeet(a, b); got != want {
			t.Errorf("GlobsMeet(%q, %q) = %t", a, b, got)
		}
	})
}
