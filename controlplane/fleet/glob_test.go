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
	// It does not take for ever.
	fleet.MatchGlob(strings.Repeat("a*", 50)+"b", strings.Repeat("a", 200))
}

// Where a text has no slash and a pattern nothing but * and ?, the standard
// library's matcher agrees.
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
