package backup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// stub puts a shell script in the place of a tool and returns the PATH that leads to it.
func stub(t *testing.T, name, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + dir + ":" + os.Getenv("PATH")
}

// realDump is a line of a stub that runs the real pg_dump.
func realDump(t *testing.T) string {
	return postgrestest.Shared(t).Bin + `/pg_dump "$@"`
}

// A dump that did not end well is no backup, whatever pg_dump's exit status and however much of it there is.
func TestFailedDumpLeavesNothing(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"exits 1 after all output", realDump(t) + "; echo 'pg_dump: error: lost it' >&2; exit 1", "pg_dump: exit status 1"},
		{"exits 0 without its last line", realDump(t) + " | head -n -6", backup.ErrIncomplete.Error()},
		{"exits 0 with nothing", "exit 0", backup.ErrIncomplete.Error()},
		{"exits 0 with the marker in data", "echo \"COPY t FROM stdin;\n-- PostgreSQL database dump complete\n\"", backup.ErrIncomplete.Error()},
		{"kills itself", realDump(t) + "; kill -9 $$", "killed"},
	}
	sample(t, "harbour")
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		for _, test := range tests {
			if format == postgres.FormatCustom && strings.HasPrefix(test.name, "exits 0") {
				continue
			}
			t.Run(format+" "+test.name, func(t *testing.T) {
				config := newConfig(t, stub(t, "pg_dump", "[ \"$1\" = --version ] && exec "+realDump(t)+"\n"+test.script))
				config.Format, config.Keys.Passphrases.Current = format, "secret"
				_, err := backup.New(*config).Dumper.Backup(t.Context(), backup.BackupRequest{RunID: "run", Database: "harbour"})
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error = %v, want one that says %q", err, test.want)
				}
				if left := files(t, config); len(left) > 0 {
					t.Errorf("left %q", left)
				}
			})
		}
	}
}

func TestCutArchiveIsNoBackup(t *testing.T) {
	sample(t, "harbour")
	for _, keep := range []string{"0", "3", "1000", "-1", "-5000"} {
		config := newConfig(t, stub(t, "pg_dump", "[ \"$1\" = --version ] && exec "+realDump(t)+"\n"+realDump(t)+" | head -c "+keep))
		config.Format = postgres.FormatCustom
		_, err := backup.New(*config).Dumper.Backup(t.Context(), backup.BackupRequest{RunID: "run", Database: "harbour"})
		if err == nil || len(files(t, config)) > 0 {
			t.Errorf("cut to %s bytes: error %v, left %q", keep, err, files(t, config))
		}
	}
}

// Whatever strikes in the middle of a real dump, it leaves nothing.
func TestDumpStruckHalfWay(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "big")
	server.Exec(t, "big", "CREATE TABLE t AS SELECT repeat(md5(g::text), 32) FROM generate_series(1, 20000) g")
	interrupted := errors.New("the agent stops")
	tests := []struct {
		name   string
		strike func(stop func(error))
		want   string
	}{
		{"its backend is terminated", func(func(error)) {
			server.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'")
		}, "pg_dump: exit status 1, at table "},
		{"pg_dump is killed", func(func(error)) { kill(t, "pg_dump") }, "signal: killed"},
		{"the run is cancelled", func(stop func(error)) { stop(interrupted) }, interrupted.Error()},
	}
	for _, test := range tests {
		for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
			t.Run(format+" "+test.name, func(t *testing.T) {
				config := newConfig(t)
				config.Format, config.Compression, config.Keys.Passphrases.Current = format, backup.CompressionZstd, "secret"
				config.Now = clock()
				ctx, stop := context.WithCancelCause(t.Context())
				var once sync.Once
				_, err := backup.New(*config).Dumper.Backup(ctx, backup.BackupRequest{RunID: "run", Database: "big", OnProgress: func(p backup.Progress) {
					if p.DoneBytes > 0 {
						once.Do(func() { test.strike(stop) })
					}
				}})
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error = %v, want one that says %q", err, test.want)
				}
				if left := files(t, config); len(left) > 0 {
					t.Errorf("left %q", left)
				}
			})
		}
	}
}

// clock is one that goes on a second whenever it is looked at, so that all progress is reported.
func clock() func() time.Time {
	var mu sync.Mutex
	now := start
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

// kill kills the children of this process that have a name.
func kill(t *testing.T, name string) {
	processes, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		stat, _ := os.ReadFile(process)
		var state string
		var parent int
		before, after, _ := strings.Cut(string(stat), ") ")
		if _, err := fmt.Sscan(after, &state, &parent); err != nil || parent != os.Getpid() || !strings.HasSuffix(before, "("+name) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(process)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHangingDump(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t, stub(t, "pg_dump", "[ \"$1\" = --version ] && exec "+realDump(t)+"\necho --\nexec sleep 1000"))
	config.Instance.StallTimeout = time.Millisecond
	if _, err := backup.New(*config).Dumper.Backup(t.Context(), backup.BackupRequest{RunID: "run", Database: "harbour"}); err == nil || len(files(t, config)) > 0 {
		t.Errorf("error %v, left %q", err, files(t, config))
	}
}

func TestBackupRefusals(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	if _, err := backup.New(*config).Dumper.Backup(t.Context(), backup.BackupRequest{RunID: "run", Database: "not there"}); backup.Failure(err) != backup.FailureNotFound {
		t.Errorf("a database that is not there: %v", err)
	}
	unlock, err := config.Store.Lock("harbour")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := backup.New(*config).Dumper.Backup(t.Context(), backup.BackupRequest{RunID: "run", Database: "harbour"}); !errors.Is(err, backup.ErrBusy) {
		t.Errorf("a database that another run has: %v", err)
	}
}

// What pg_dump warns of makes a backup degraded, not failed.
func TestWarningsAreKept(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t, stub(t, "pg_dump", realDump(t)+"; echo 'pg_dump: warning: there are circular foreign-key constraints' >&2"))
	manifest := backUp(t, config, "harbour")
	if !slices.Equal(manifest.Warnings, []string{"warning: there are circular foreign-key constraints"}) {
		t.Errorf("warnings = %q", manifest.Warnings)
	}
}

// A second backup within the second of the first gets a name of its own, and the progress of a dump is measured by the
// one before.
func TestTwoBackupsInOneSecond(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	first := backUp(t, config, "harbour")
	var total int64
	second, err := backup.New(*config).Dumper.Backup(t.Context(), backup.BackupRequest{RunID: "run2", Database: "harbour", OnProgress: func(p backup.Progress) { total = p.TotalBytes }})
	if err != nil {
		t.Fatal(err)
	}
	if first.Filename == second.Filename || first.ID == second.ID {
		t.Errorf("both are %s, %s", first.Filename, first.ID)
	}
	if total != first.PlainSizeBytes {
		t.Errorf("progress goes to %d bytes, want %d", total, first.PlainSizeBytes)
	}
	inventory, err := backup.New(*config).Repository.Inventory()
	if err != nil || len(inventory) != 2 {
		t.Errorf("inventory = %v, %v", inventory, err)
	}
}

// The passphrase is in no argument and no variable of a child.
func TestPassphraseStaysPrivate(t *testing.T) {
	sample(t, "harbour")
	dir := t.TempDir()
	config := newConfig(t, "BACKUP_ENCRYPT_PASSPHRASE=hunter2", "PGPASSWORD=hunter2",
		stub(t, "pg_dump", fmt.Sprintf("tr '\\0' '\\n' < /proc/self/environ > %s/seen; echo \"$@\" >> %s/seen; exec %s", dir, dir, realDump(t))))
	config.Keys.Passphrases.Current = "hunter2"
	backUp(t, config, "harbour")
	seen, err := os.ReadFile(filepath.Join(dir, "seen"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(seen), "PGDATABASE=harbour") || strings.Contains(string(seen), "hunter2") {
		t.Errorf("pg_dump was given:\n%s", seen)
	}
}

// Any name that PostgreSQL allows is backed up inside of the folder, found again and restored.
func TestOddNames(t *testing.T) {
	server := postgrestest.Shared(t)
	names := []string{
		"two words", `quote"s'and\back`, "new\nline", "ünï日本", "-dash", "../x", "..", ".hidden", "a/b", "100%", "a=b", "postgres://x", strings.Repeat("ü", 31),
	}
	config := newConfig(t)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			target := "to " + name
			if len(target) > 63 {
				target = "long"
			}
			server.CreateDatabase(t, name)
			server.Exec(t, name, "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)")
			t.Cleanup(func() { server.DropDatabase(t, target) })
			manifest := backUp(t, config, name)
			stored, err := backup.New(*config).Repository.Find(manifest.ID)
			if err != nil || stored.Database != name || stored.Location.Database != name {
				t.Fatalf("found %+v, %v", stored.Location, err)
			}
			inside, err := filepath.Rel(folderOf(config).Dir(), folderOf(config).Path(stored.Location))
			if err != nil || strings.Count(inside, "/") != 1 || strings.HasPrefix(inside, ".") {
				t.Errorf("it is stored at %q", inside)
			}
			if err := restore(t.Context(), t, config, manifest.ID, target); err != nil {
				t.Fatal(err)
			}
			if got := server.Value(t, target, "SELECT count(*) FROM t"); got != "2" {
				t.Errorf("%s rows were restored", got)
			}
		})
	}
}
