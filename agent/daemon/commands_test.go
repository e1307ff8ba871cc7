package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/internal/exit"
)

func TestCommandLines(t *testing.T) {
	h := newHost(t)
	tests := map[string]struct {
		args   []string
		code   int
		stderr string // a part of it
	}{
		"no such command":      {[]string{"frobnicate"}, exit.Usage, "unknown command"},
		"no such flag":         {[]string{"run", "--fast"}, exit.Usage, "unknown flag"},
		"an argument too many": {[]string{"backup", "shop"}, exit.Usage, "hint: pgharbor-agent --help"},
		"a log level":          {[]string{"run", "--log-level", "loud"}, exit.Usage, "debug, info, warn or error"},
		"a mistyped invite":    {[]string{"enroll", "pgharbor1_x"}, exit.Usage, "hint: copy the whole invite"},
		"no target":            {[]string{"restore", "x.sql"}, exit.Usage, "--to-database is missing"},
		"template":             {[]string{"restore", "x.sql", "--to-database", "template1", "--replace", "--confirm", "template1"}, exit.Usage, "made of it"},
		"reserved target":      {[]string{"restore", "x.sql", "--to-database", "pgharbor_restore_x", "--confirm", "pgharbor_restore_x"}, exit.Usage, "restores under way"},
		"no confirmation":      {[]string{"restore", "x.sql", "--to-database", "new"}, exit.Usage, "the confirmation is missing"},
		"wrong confirmation":   {[]string{"restore", "x.sql", "--to-database", "new", "--confirm", "old"}, exit.Usage, "is not the name"},
		"no such file":         {[]string{"restore", "x.sql", "--to-database", "new", "--confirm", "new"}, exit.NotFound, "no such file"},
		"no such database":     {[]string{"backup", "--database", "none"}, exit.NotFound, `no such database: "none"`},
		"help":                 {[]string{"--help"}, exit.Done, ""},
		"version":              {[]string{"--version"}, exit.Done, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := Main(t.Context(), Process{
				Args: test.args, Environ: h.environ, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Version: "1.2.3", Now: time.Now,
			})
			if code != test.code || !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("exit %d, not %d:\n%s", code, test.code, stderr.String())
			}
			if code != exit.Done && !strings.Contains(stderr.String(), "pgharbor-agent: ") {
				t.Errorf("not an error of ours:\n%s", stderr.String())
			}
		})
	}
}

// An error takes one line, whatever a name has in it.
func TestErrorsTakeOneLine(t *testing.T) {
	h := newHost(t)
	code, _, stderr := h.run("--log-level", "error", "backup", "--database", "new\nline\x1b[31m")
	var ours []string
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "time=") {
			ours = append(ours, line)
		}
	}
	if code != exit.NotFound || len(ours) != 1 || strings.Contains(stderr, "\x1b") {
		t.Errorf("exit %d:\n%q", code, stderr)
	}
}

// Anyone who is told that --trust-content would load a dump is told too that the dump itself may
// have brought that about.
func TestTheHintToTrustADumpWarnsOfItsCode(t *testing.T) {
	refused := &postgres.ServerError{SQLState: "42501"}
	for name, test := range map[string]struct {
		err  *dump.ContentError
		says string
	}{
		"its code": {&dump.ContentError{Object: "table t", Why: "its owner can't load it", Err: refused}, "may itself have refused"},
		"a rule":   {&dump.ContentError{Object: "table t", Why: "it calls a function of another's"}, "only if you know what it does"},
	} {
		hint := hintFor(fmt.Errorf("%w: %w", backup.ErrContent, test.err))
		if !strings.Contains(hint, test.says) || !strings.Contains(hint, "--trust-content") {
			t.Errorf("%s: %s", name, hint)
		}
	}
}

// Anyone who restores by hand what no server takes is told what is wrong with the source, and where
// the way out is documented.
func TestTheHintForWhatNoServerTakes(t *testing.T) {
	for state, says := range map[string]string{"23514": "rows in the source", "42P17": "ALTER FUNCTION", "42501": "USAGE and CREATE on the schema"} {
		hint := hintFor(fmt.Errorf("restore: table public.t: %w", &postgres.ServerError{SQLState: state}))
		if !strings.Contains(hint, says) || !strings.Contains(hint, "docs/restore.md") {
			t.Errorf("%s: %s", state, hint)
		}
	}
}

// A backup that may not read something is no restore that lacks a right.
func TestTheHintForWhatABackupMayNotRead(t *testing.T) {
	hint := hintFor(&postgres.ToolError{Tool: "pg_dump", Exit: 1, Stderr: "pg_dump: error: could not open large object 1: ERROR:  permission denied for large object 1\n", Err: errors.New("exit status 1")})
	if !strings.Contains(hint, "pgharbor-agent check") || strings.Contains(hint, "back up again") {
		t.Error(hint)
	}
}

// What the host lacks is no reason to trust a dump.
func TestTheHintForWhatTheHostLacksTrustsNoDump(t *testing.T) {
	closed := &postgres.NoWayIn{Line: "local all all scram-sha-256", Err: &postgres.ServerError{SQLState: "28000"}}
	full := stateError("/state", &fs.PathError{Op: "write", Path: "/state/passfile", Err: syscall.ENOSPC})
	if !strings.HasPrefix(full.Error(), "the state folder /state is full") {
		t.Error(full)
	}
	for says, err := range map[string]error{
		closed.Line:        &dump.ContentError{Object: "role app", Why: "no login", Err: closed},
		"CREATEROLE":       &dump.ContentError{Object: "role app", Why: "no login", Err: fmt.Errorf("%w: %w", postgres.ErrNoLogin, &postgres.ServerError{SQLState: "42501"})},
		"room on the disk": full,
		"server's data":    fmt.Errorf("%w: table public.t: %w", backup.ErrSandboxed, &postgres.ServerError{SQLState: "53100"}),
		"of the tablespace": &postgres.ToolError{
			Tool: "psql", Exit: 3, Stderr: "psql:<stdin>:3: ERROR:  53100: could not extend file \"base/5/6\": No space left on device\n", Err: errors.New("exit status 3"),
		},
	} {
		if hint := hintFor(fmt.Errorf("restore: %w", err)); !strings.Contains(hint, says) || strings.Contains(hint, "--trust-content") {
			t.Errorf("%v: %s", err, hint)
		}
	}
}

func TestFlagsFromTheEnvironment(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "shop")
	h := newHost(t, "PGHARBOR_DATABASE=shop", "PGHARBOR_LOG_LEVEL=error")
	code, stdout, stderr := h.run("backup")
	if code != exit.Done || strings.Count(stdout, "\n") != 1 || !strings.Contains(stdout, "/shop/backup-") || stderr != "" {
		t.Errorf("exit %d, standard output %q, standard error:\n%s", code, stdout, stderr)
	}
}

// flip copies a backup with its manifest into a folder, with one bit of it changed.
func flip(t *testing.T, file, dir string) (flipped string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	flipped = filepath.Join(dir, filepath.Base(file))
	manifest, err := os.ReadFile(file + ".manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{flipped: content, flipped + ".manifest.json": manifest} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return flipped
}

func TestRestoreExitCodes(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "shop")
	server.Exec(t, "shop", "CREATE TABLE goods AS SELECT generate_series(1, 1000) AS id")
	h := newHost(t, "BACKUP_ENCRYPT_PASSPHRASE=right")
	code, stdout, stderr := h.run("backup", "--database", "shop")
	if code != exit.Done {
		t.Fatalf("backup exits %d:\n%s", code, stderr)
	}
	file := strings.TrimSpace(stdout[strings.LastIndex(stdout, "  "):])
	restore := []string{"restore", file, "--to-database", "again", "--confirm", "again"}
	h.environ = append(h.environ, "BACKUP_ENCRYPT_PASSPHRASE=wrong")
	if code, _, stderr := h.run(restore...); code != exit.Failed || !strings.Contains(stderr, "the passphrase is wrong\nhint: ") {
		t.Errorf("wrong passphrase: exit %d:\n%s", code, stderr)
	}
	if code, stdout, _ := h.run("check"); code != exit.Failed || !strings.Contains(stdout, "can't be opened: the passphrase is wrong") {
		t.Errorf("a check with the wrong passphrase: exit %d:\n%s", code, stdout)
	}
	old := filepath.Join(h.dir, "old-passphrases")
	if err := os.WriteFile(old, []byte("older\nright\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.environ = append(h.environ, "BACKUP_OLD_PASSPHRASES_FILE="+old)
	flipped := flip(t, file, h.dir)
	if code, _, stderr := h.run("restore", flipped, "--to-database", "again", "--confirm", "again"); code != exit.Integrity {
		t.Errorf("one bit: exit %d:\n%s", code, stderr)
	}
	for text, want := range map[string]struct {
		code int
		says string
	}{
		`{"version": 1}`: {exit.Integrity, "is missing"}, `{"vers`: {exit.Integrity, "manifest: unexpected end"},
		`{"version": 99}`: {exit.Failed, "a newer pgharbor"}, // which may mean something else by the same fields
	} {
		if err := os.WriteFile(flipped+".manifest.json", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := h.run("restore", flipped, "--to-database", "again", "--confirm", "again")
		if code != want.code || !strings.Contains(stderr, want.says) {
			t.Errorf("the manifest %s: exit %d:\n%s", text, code, stderr)
		}
	}
	for _, database := range server.Databases(t) {
		if database == "again" || strings.HasPrefix(database, "pgharbor_") {
			t.Errorf("database %s is there", database)
		}
	}
	// On the worst day there is a file, and no BACKUP_DIR.
	h.environ = append(h.environ, "BACKUP_DIR=/proc/no-such-folder")
	if code, _, stderr := h.run(restore...); code != exit.Done {
		t.Errorf("with the old passphrase: exit %d:\n%s", code, stderr)
	}
	t.Cleanup(func() { server.DropDatabase(t, "again") })
	if code, _, stderr := h.run(restore...); code != exit.Failed || !strings.Contains(stderr, "exists already") {
		t.Errorf("a target that exists: exit %d:\n%s", code, stderr)
	}
}

func TestCheck(t *testing.T) {
	h := newHost(t)
	code, stdout, stderr := h.run("check")
	if code != exit.Done || strings.Contains(stdout, "FAILED") || strings.Count(stdout, "OK      ") != 16 {
		t.Errorf("exit %d:\n%s%s", code, stdout, stderr)
	}
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "shop")
	server.Exec(t, "shop", "CREATE ROLE reader LOGIN; CREATE ROLE keeper LOGIN; GRANT pg_read_all_data TO keeper; CREATE TABLE goods (id int)")
	t.Cleanup(func() { server.Exec(t, "postgres", "DROP ROLE reader, keeper") })
	blocked := filepath.Join(h.dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ variable, line string }{
		"rights":        {"PGUSER=reader", `FAILED  rights: database "shop": 1 things can't be read, such as public.goods — GRANT`},
		"restores":      {"PGUSER=keeper", "databases can be read; restores here would lack CREATEDB, CREATEROLE (docs/agent.md"},
		"connection":    {"PGHOST=" + h.dir, "FAILED  connection: "},
		"space":         {"BACKUP_DIR=" + filepath.Join(blocked, "x"), "FAILED  space: "},
		"tools":         {"PATH=/nowhere", "OK      tools: /usr/"},
		"configuration": {"BACKUP_RETENTION_DAYS=0", "FAILED  configuration: BACKUP_RETENTION_DAYS"},
		"test restores": {"BACKUP_VERIFY_SCHEDULE=0 4 * * 0\x00BACKUP_VERIFY_BINDIR=/nowhere", "FAILED  test restores: no server binaries are at hand: /nowhere"},
		"policy":        {"PGHARBOR_POLICY_FILE=" + blocked, "FAILED  policy: the policy of this host can't be used: " + blocked + ": unexpected end of JSON input — until then the control plane may ask for nothing"},
		"policy gone":   {"PGHARBOR_POLICY_FILE=" + h.dir + "/gone", "gone: there is no such file, and one that is named must be there: {} in it means the defaults — make the file that PGHARBOR_POLICY_FILE"},
		"databases":     {"BACKUP_DATABASES=gone", `FAILED  rights: no such database: "gone" — `},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := *h
			h.t, h.environ = t, append(h.environ, strings.Split(test.variable, "\x00")...)
			code, stdout, _ := h.run("check")
			if lines := strings.Count(stdout, "\n"); lines != 16 && name != "configuration" {
				t.Errorf("%d lines, and not one for each check:\n%s", lines, stdout)
			}
			if !strings.Contains(stdout, test.line) || (code == exit.Done) != (strings.HasPrefix(test.line, "OK") || name == "restores") {
				t.Errorf("exit %d:\n%s", code, stdout)
			}
		})
	}
}

func TestRootStaysOutOfTheServicesFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can make the folder of somebody else
	}
	h := newHost(t)
	state := filepath.Join(h.dir, "of-the-service")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(state, 4711, 4711); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := h.run("backup", "--state-dir", state)
	if code != exit.Failed || !strings.Contains(stderr, "belongs to the user with the id 4711") || !strings.Contains(stderr, "hint: ") {
		t.Errorf("exit %d:\n%s", code, stderr)
	}
	if left, err := os.ReadDir(state); err != nil || len(left) > 0 {
		t.Errorf("root has left %v, %v", left, err)
	}
}
