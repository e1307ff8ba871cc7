package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// What a restore left out is in its result, and not in the log alone.
func TestARestoreByHandSaysWhatItLacks(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "lacking")
	t.Cleanup(func() { server.DropDatabase(t, "lacking_again") })
	h := newHost(t)
	code, stdout, stderr := h.run("backup", "--database", "lacking")
	if code != exit.Done {
		t.Fatalf("backup exits %d:\n%s", code, stderr)
	}
	file := strings.TrimSpace(stdout[strings.LastIndex(stdout, "  "):])
	if err := os.Remove(file + ".globals"); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = h.run("restore", file, "--to-database", "lacking_again", "--confirm", "lacking_again")
	if code != exit.Done || !strings.Contains(stdout, "it lacks something: the settings of the database are not restored") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	if _, stdout, _ := h.run("runs"); !strings.Contains(stdout, "settings of the database") {
		t.Errorf("runs:\n%s", stdout)
	}
}

// bare is a backup of a database, away from its folder and without its manifest.
func bare(t *testing.T, h *host, database string) string {
	t.Helper()
	postgrestest.Shared(t).CreateDatabase(t, database)
	code, stdout, stderr := h.run("backup", "--database", database)
	if code != exit.Done {
		t.Fatalf("backup exits %d:\n%s", code, stderr)
	}
	content, err := os.ReadFile(strings.TrimSpace(stdout[strings.LastIndex(stdout, "  "):]))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bare.sql")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What a file of unknown origin may not do is no damage, and neither another psql nor --unsigned would change it.
func TestAFileOfUnknownOriginTakesNoPlaceAndSaysWhatHelps(t *testing.T) {
	h := newHost(t)
	file := bare(t, h, "taken")
	code, _, stderr := h.run("restore", file, "--to-database", "taken", "--confirm", "taken", "--replace", "--unsigned")
	if code != exit.Usage || !strings.Contains(stderr, "takes the place of no database") || !strings.Contains(stderr, "hint: restore it into a new database") ||
		strings.Contains(stderr, "upgrade psql") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}
