package daemon

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// beforeSignatures is a host with a backup that the release before signatures made, and a state folder without a key.
func beforeSignatures(t *testing.T, database string) (h *host, file string) {
	t.Helper()
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, database)
	server.Exec(t, database, "CREATE TABLE goods AS SELECT generate_series(1, 1000) AS id")
	h = newHost(t)
	code, stdout, stderr := h.run("backup", "--database", database)
	if code != exit.Done {
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
			if code, _, stderr := h.run(first...); code != exit.Done && first[0] != "undo" {
				t.Errorf("%s exits %d:\n%s", first[0], code, stderr)
			}
			if code, _, stderr := h.run("backup", "--database", "upgraded"); code != exit.Done {
				t.Fatalf("backup exits %d:\n%s", code, stderr)
			}
			server.DropDatabase(t, "upgraded_again")
			code, _, stderr := h.run("restore", file, "--to-database", "upgraded_again", "--confirm", "upgraded_again")
			if code != exit.Done || strings.Contains(stderr, "nothing proves") {
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
	if code, _, stderr := h.run("backup", "--database", "upgraded"); code != exit.Done {
		t.Errorf("backup exits %d:\n%s", code, stderr)
	}
}

// A folder whose rights the agent may not change, as on a disk that has none, takes backups as before.
func TestUpgradeOnAFolderOfSomebodyElse(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithPassword("over-tcp"))
	server.CreateDatabase(t, "upgraded")
	h := newHost(t, "DATABASE_URL="+server.PasswordURL("upgraded"))
	h.unprivileged()
	folder := filepath.Join(h.backups(), "upgraded")
	err := os.MkdirAll(folder, 0o755)
	for _, dir := range []string{h.backups(), folder} {
		err = errors.Join(err, os.Chmod(dir, 0o777)) // root's, if this is root
	}
	if err != nil {
		t.Fatal(err)
	}
	h.mustRun("backup", "--database", "upgraded")
}

// A folder that was not there when the agent began to sign holds what counts as forged, until the
// agent begins again and is told of its key from before.
func TestUpgradeWithTheFolderComingLate(t *testing.T) {
	server := postgrestest.Shared(t)
	h, old := beforeSignatures(t, "upgraded")
	environ := h.environ
	h.environ = append(environ[:len(environ):len(environ)], "BACKUP_DIR="+t.TempDir())
	h.mustRun("backup", "--database", "upgraded")
	h.environ = environ
	stdout := h.mustRun("backup", "--database", "upgraded")
	signed := strings.TrimSpace(stdout[strings.LastIndex(stdout, "  "):])
	restore := func(file string) (code int, stderr string) {
		server.DropDatabase(t, "upgraded_again")
		code, _, stderr = h.run("restore", file, "--to-database", "upgraded_again", "--confirm", "upgraded_again")
		return code, stderr
	}
	t.Cleanup(func() { server.DropDatabase(t, "upgraded_again") })
	if code, stderr := restore(old); code != exit.Integrity || !strings.Contains(stderr, "docs/agent.md") {
		t.Errorf("before the agent begins again: exit %d:\n%s", code, stderr)
	}
	_, key, found := strings.Cut(h.mustRun("check"), "public key ")
	if !found {
		t.Fatal("check does not show the public key")
	}
	key, _, _ = strings.Cut(key, "\n")
	state := filepath.Join(h.dir, "state")
	if err := os.WriteFile(filepath.Join(state, "trusted-keys"), []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(state, "signing.key")); err != nil {
		t.Fatal(err)
	}
	h.mustRun("backup", "--database", "upgraded")
	for _, file := range []string{old, signed} {
		if code, stderr := restore(file); code != exit.Done || strings.Contains(stderr, "nothing proves") {
			t.Errorf("%s: exit %d:\n%s", file, code, stderr)
		}
	}
}

// mustRun returns the standard output of an agent that succeeds.
func (h *host) mustRun(args ...string) string {
	h.t.Helper()
	code, stdout, stderr := h.run(args...)
	if code != exit.Done {
		h.t.Fatalf("%s exits %d:\n%s%s", args[0], code, stdout, stderr)
	}
	return stdout
}
