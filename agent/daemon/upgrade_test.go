package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// beforeSignatures is a host with a backup that the release before signatures made, and a state folder without a key.
func beforeSignatures(t *testing.T, database string) (h *host, file string) {
	t.Helper()
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, database)
	server.Exec(t, database, "CREATE TABLE goods AS SELECT generate_series(1, 1000) AS id")
	h = newHost(t)
	code, stdout, stderr := h.run("backup", "--database", database)
	if code != exitOK {
		t.Fatalf("backup exits %d:\n%s", code, stderr)
	}
	file = strings.TrimSpace(stdout[strings.LastIndex(stdout, "  "):])
	manifest, err := os.ReadFile(file + ".manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(manifest, []byte(",\n  \"sequence\""))
	if at < 0 {
		t.Fatalf("no signature in %s", manifest)
	}
	if err := os.WriteFile(file+".manifest.json", append(manifest[:at:at], "\n}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"signing.key", "signing.json", "signing.lock"} {
		if err := os.Remove(filepath.Join(h.dir, "state", name)); err != nil {
			t.Fatal(err)
		}
	}
	return h, file
}

// After an upgrade, whichever command is the first, the backups from before stay what they were.
func TestUpgradeKeepsWhatWasThere(t *testing.T) {
	for name, first := range map[string][]string{
		"a list":    {"restores"},
		"an undo":   {"undo", "none", "--confirm", "upgraded"},
		"a restore": {"restore", "--replace", "--to-database", "upgraded_again", "--confirm", "upgraded_again"},
		"a backup":  {"backup", "--database", "upgraded"},
	} {
		t.Run(name, func(t *testing.T) {
			server := postgrestest.Shared(t)
			h, file := beforeSignatures(t, "upgraded")
			t.Cleanup(func() { server.DropDatabase(t, "upgraded_again") })
			if first[0] == "restore" {
				first = append(first, file, "--trust-origin")
			}
			if code, _, stderr := h.run(first...); code != exitOK && first[0] != "undo" {
				t.Errorf("%s exits %d:\n%s", first[0], code, stderr)
			}
			if code, _, stderr := h.run("backup", "--database", "upgraded"); code != exitOK {
				t.Fatalf("backup exits %d:\n%s", code, stderr)
			}
			server.DropDatabase(t, "upgraded_again")
			code, _, stderr := h.run("restore", file, "--to-database", "upgraded_again", "--confirm", "upgraded_again")
			if code != exitOK || strings.Contains(stderr, "nothing proves") {
				t.Errorf("what was there before is restored with exit %d:\n%s", code, stderr)
			}
		})
	}
}

// One manifest that can't be read, of whatever age, does not keep the agent from working.
func TestUpgradeWithAManifestThatCannotBeRead(t *testing.T) {
	h, _ := beforeSignatures(t, "upgraded")
	if err := os.Mkdir(filepath.Join(h.backups(), "upgraded", "backup-2020-01-01-00-00-00.sql.manifest.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := h.run("backup", "--database", "upgraded"); code != exitOK {
		t.Errorf("backup exits %d:\n%s", code, stderr)
	}
}
