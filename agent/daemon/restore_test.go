package daemon

import (
	"os"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// What a restore left out stands with its result, and not in the log alone.
func TestARestoreByHandSaysWhatItLacks(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "lacking")
	t.Cleanup(func() { server.DropDatabase(t, "lacking_again") })
	h := newHost(t)
	code, stdout, stderr := h.run("backup", "--database", "lacking")
	if code != exitOK {
		t.Fatalf("backup exits %d:\n%s", code, stderr)
	}
	file := strings.TrimSpace(stdout[strings.LastIndex(stdout, "  "):])
	if err := os.Remove(file + ".globals"); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = h.run("restore", file, "--to-database", "lacking_again", "--confirm", "lacking_again")
	if code != exitOK || !strings.Contains(stdout, "it lacks something: the settings of the database are not restored") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	if _, stdout, _ := h.run("runs"); !strings.Contains(stdout, "settings of the database") {
		t.Errorf("runs:\n%s", stdout)
	}
}
