package command

import (
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/internal/exit"
)

func TestWrongCommandLines(t *testing.T) {
	f := newFleet(t)
	lines := [][]string{
		{"bogus"},
		{"list", "extra"},
		{"list", "--bogus"},
		{"list", "-o", "yaml"},
		{"list", "--since", "yesterday"},
		{"list", "--timeout", "soon"},
		{"show"},
		{"show", "a", "b"},
		{"backup"},
		{"restore", "id"},
		{"restore", "id", "--to-database", ""},
		{"restore", "id", "--to-database", "new", "--reason", "why"},
		{"restore", "id", "--to-database", "new", "--confirm", "old", "--reason", "why"},
		{"restore", "id", "--to-database", "new", "--confirm", "new"},
		{"download"},
		{"download", "id", "--output", "-"},
		{"download", "id", "--passphrase-file", "x"},
		{"login"},
		{"login", "no invite"},
		{"login", "pgharbor1_cut", "--context", "../elsewhere"},
		{"agents"},
		{"agents", "bogus"},
		{"agents", "invite"},
		{"users", "invite", "bert"},
		{"users", "grant", "bert"},
		{"users", "set", "bert"},
		{"users", "set", "bert", "--instances", ""},
		{"users", "invite", "bert", "--role", "VIEWER", "--instances="},
		{"users", "revoke", "bert", "--device", "x", "--permission", "y"},
		{"audit"},
		{"audit", "list", "--limit", "-1"},
		{"audit", "list", "--since", "soon"},
		{"audit", "verify", "--head", "7"},
		{"audit", "verify", "--file", "x", "--accept"},
		{"contexts", "use"},
	}
	for _, line := range lines {
		t.Run(strings.Join(line, " "), func(t *testing.T) {
			got := f.run(t, line...)
			if got.code != exit.Usage || got.stdout != "" {
				t.Errorf("exit code %d, printed %q", got.code, got.stdout)
			}
			wantError(t, got)
		})
	}
}

// wantError wants one line that reports what is wrong, and at most a hint after it.
func wantError(t *testing.T, got result) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
	if len(lines) > 2 || !strings.HasPrefix(lines[0], "pgharbor: ") || len(lines) == 2 && !strings.HasPrefix(lines[1], "hint: ") {
		t.Errorf("standard error: %q", got.stderr)
	}
}

func TestWhoIsNotLoggedInIsToldSo(t *testing.T) {
	f := newFleet(t)
	for _, line := range []string{
		"list", "show x", "backup shop", "download x", "restore x --to-database y --confirm y --reason z", "restores",
		"runs", "retention", "health", "health --watch", "thresholds list", "thresholds set x --ignore",
		"thresholds remove x", "logout", "agents list", "agents show x", "agents invite x", "agents revoke x", "users list",
		"users invite x --role VIEWER", "users grant x y", "users revoke x", "users set x --role VIEWER", "users devices", "audit list", "audit verify", "audit export",
		"approvals list", "approvals approve x", "policies list",
	} {
		got := f.run(t, strings.Fields(line)...)
		if got.code != exit.Denied || !strings.Contains(got.stderr, "not logged in") || !strings.Contains(got.stderr, "pgharbor login") {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestHelpVersionAndCompletion(t *testing.T) {
	f := newFleet(t)
	for _, line := range []string{"", "--help", "restore --help", "agents --help", "--version", "completion bash", "completion zsh", "completion fish"} {
		if got := f.run(t, strings.Fields(line)...); got.code != exit.Done || got.stdout == "" || got.stderr != "" {
			t.Errorf("pgharbor %s: exit code %d, standard error %q", line, got.code, got.stderr)
		}
	}
}

func TestCompletionOffersBackups(t *testing.T) {
	f := loggedIn(t)
	f.backups = sampleBackups()
	got := f.run(t, "__complete", "show", "")
	if !strings.Contains(got.stdout, "id1\tshop-db shop") {
		t.Errorf("offered %q", got.stdout)
	}
	// Without a login there is nothing to offer, and nothing is said.
	if got := newFleet(t).run(t, "__complete", "show", ""); strings.Contains(got.stdout+got.stderr, "pgharbor:") {
		t.Errorf("%+v", got)
	}
}
