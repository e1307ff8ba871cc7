package daemon

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// files are the paths of all files under dir, relative to it.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		all = append(all, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func backupFiles(t *testing.T, h *host) []string {
	t.Helper()
	var found []string
	for _, name := range files(t, h.backups()) {
		if strings.Contains(name, "backup-") {
			found = append(found, name)
		}
	}
	return found
}

func TestAKilledAgentLeavesNothingAndItsRunIsKnown(t *testing.T) {
	slowDatabase(t, "killed")
	slowDatabase(t, "alive")
	h := newHost(t)
	killed := h.start("backup", "--database", "killed")
	alive := h.start("backup", "--database", "alive")
	awaitDump(t, "killed")
	awaitDump(t, "alive")
	killed.signal(syscall.SIGKILL)
	killed.wait()
	if found := backupFiles(t, h); len(found) != 2 {
		t.Fatalf("two runs under way have left %v", found)
	}

	daemon := h.start("run")
	daemon.says("works alone")
	entries := h.journal()
	if len(entries) != 1 || entries[0].Run == nil || entries[0].Run.Database != "killed" || entries[0].Run.State != "failed" ||
		entries[0].Run.Error != "interrupted: the agent stopped during the run" {
		t.Errorf("journal: %+v", entries)
	}
	found := backupFiles(t, h)
	if len(found) != 1 || !strings.HasPrefix(found[0], "alive/") {
		t.Errorf("left after the restart, beside the run that lives: %v", found)
	}

	// The other one is stopped in an orderly way.
	alive.signal(syscall.SIGTERM)
	if code := alive.wait(); code != exit.Failed {
		t.Errorf("a backup that was stopped exits %d", code)
	}
	entries = h.journal()
	if len(entries) != 2 || entries[1].Run.Database != "alive" || !strings.HasPrefix(entries[1].Run.Error, "interrupted") {
		t.Errorf("journal: %+v", entries)
	}
	if found := backupFiles(t, h); len(found) != 0 {
		t.Errorf("left: %v", found)
	}
	daemon.signal(syscall.SIGTERM)
	if code := daemon.wait(); code != exit.Done {
		t.Errorf("SIGTERM ends the daemon with %d:\n%s", code, daemon.stderr.String())
	}
}

func TestTwoAgentsOnOneStateFolder(t *testing.T) {
	h := newHost(t)
	first := h.start("run")
	first.says("works alone")
	code, _, stderr := h.run("run")
	if code != exit.Failed || !strings.Contains(stderr, "pgharbor-agent: another pgharbor-agent runs") || !strings.Contains(stderr, "\nhint: ") {
		t.Errorf("exit %d:\n%s", code, stderr)
	}
	first.signal(syscall.SIGKILL)
	first.wait()
	again := h.start("run")
	again.says("works alone")
	if strings.Count(again.stderr.String(), "not encrypted") != 1 {
		t.Errorf("no warning, or more than one, that files are plain:\n%s", again.stderr.String())
	}
}

// Anyone who has no rights on the default state folder still backs up and restores.
func TestWithoutAStateFolder(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithPassword("over-tcp"))
	server.CreateDatabase(t, "shop")
	server.Exec(t, "shop", "CREATE TABLE goods AS SELECT generate_series(1, 10) AS id")
	h := newHost(t, "DATABASE_URL="+server.PasswordURL("shop"))
	h.unprivileged()
	code, stdout, stderr := h.run("backup", "--database", "shop")
	if code != exit.Done || strings.Count(stderr, "state folder can't be used") != 1 {
		t.Fatalf("backup exits %d:\n%s", code, stderr)
	}
	file := stdout[strings.LastIndex(stdout, "  ")+2 : len(stdout)-1]
	if code, _, stderr := h.run("restore", file, "--to-database", "again", "--confirm", "again"); code != exit.Done {
		t.Fatalf("restore exits %d:\n%s", code, stderr)
	}
	if rows := server.Value(t, "again", "SELECT count(*) FROM goods"); rows != "10" {
		t.Errorf("%s rows are back", rows)
	}
	// A folder that somebody has chosen must do.
	h.environ = append(h.environ, "PGHARBOR_STATE_DIR=/proc/nowhere")
	if code, _, stderr := h.run("backup", "--database", "shop"); code != exit.Failed || !strings.Contains(stderr, "hint: --state-dir") {
		t.Errorf("exit %d:\n%s", code, stderr)
	}
}

// unprivileged makes the agent that of a user who may write to its own folders
// only, with the default state folder.
func (h *host) unprivileged() {
	h.t.Helper()
	var environ []string
	for _, variable := range h.environ {
		if !strings.HasPrefix(variable, "PGHARBOR_STATE_DIR=") {
			environ = append(environ, variable)
		}
	}
	h.environ = append(environ, "TMPDIR="+h.dir)
	if os.Getuid() != 0 {
		return
	}
	const nobody = 65534
	h.as = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
	copied := filepath.Join(h.dir, "pgharbor-agent")
	if err := copyFile(h.program, copied); err != nil {
		h.t.Fatal(err)
	}
	h.program = copied
	for dir := h.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := os.Chown(h.dir, nobody, nobody); err != nil {
		h.t.Fatal(err)
	}
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}

func TestSecretsAreNowhere(t *testing.T) {
	const passphrase, password = "canary-passphrase-7Zq", "canary-password-8Xw"
	server := postgrestest.Start(t, postgrestest.WithPassword(password))
	server.Exec(t, "postgres", "CREATE TABLE goods AS SELECT 1 AS id")
	h := newHost(t, "BACKUP_ENCRYPT_PASSPHRASE="+passphrase, "DATABASE_URL="+server.PasswordURL("postgres"))
	var said []string
	for _, args := range [][]string{
		{"check"}, {"backup"}, {"backup", "--database", "none"}, {"--log-level", "debug", "backup", "--database", "postgres"},
	} {
		_, stdout, stderr := h.run(args...)
		said = append(said, stdout, stderr)
	}
	for _, name := range files(t, h.dir) {
		content, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, name, string(content))
	}
	all := strings.Join(said, "\n")
	for _, secret := range []string{passphrase, password} {
		if at := strings.Index(all, secret); at >= 0 {
			t.Errorf("%s is to be read: …%s…", secret, all[max(0, at-100):at])
		}
	}
	if !strings.Contains(all, "backup succeeded") {
		t.Error("nothing was backed up")
	}
}
