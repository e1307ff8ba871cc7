package postgres_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// A dump that did not end well never ends with io.EOF.
func TestDumpFailures(t *testing.T) {
	tests := []struct{ name, script, want, words string }{
		{"exits 1 after all output", "echo data; echo 'pg_dump: error: out of luck' >&2; exit 1", "pg_dump: exit status 1", "out of luck"},
		{"exits 0 and reports an error", "echo data; echo 'pg_dump: error: out of luck' >&2", "reported an error", "out of luck"},
		{"is killed", "echo data; kill -9 $$", "signal: killed", ""},
		{
			"says where data is", "echo 'pg_dump: error: query failed: ERROR:  permission denied for hunter2' >&2; echo 'DETAIL: hunter2' >&2; " +
				"echo 'pg_dump: detail: Command was: COPY hunter2' >&2; exit 1", "pg_dump: exit status 1: insufficient_privilege (SQLSTATE 42501)", "COPY hunter2",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			instance := open(t, append(postgrestest.Shared(t).Environ(), stub(t, "pg_dump", test.script))...)
			dump, err := instance.Dump(t.Context(), "postgres", postgres.FormatPlain)
			if err != nil {
				t.Fatal(err)
			}
			defer dump.Close()
			_, err = io.ReadAll(dump)
			var failure *postgres.ToolError
			if !errors.As(err, &failure) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error = %v, want one that says %q", err, test.want)
			}
			if words := postgres.Words(err); !strings.Contains(words, test.words) {
				t.Errorf("the words for the host are %q, want %q among them", words, test.words)
			}
		})
	}
}

func TestDumpWarnings(t *testing.T) {
	instance := open(t, append(postgrestest.Shared(t).Environ(), stub(t, "pg_dump", "echo 'pg_dump: warning: subscriptions are skipped' >&2; echo 'WARNING:  the row is hunter2' >&2"))...)
	dump, err := instance.Dump(t.Context(), "postgres", postgres.FormatPlain)
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Close()
	if _, err := io.ReadAll(dump); err != nil {
		t.Fatal(err)
	}
	got := dump.Warnings()
	if len(got) != 2 || got[0] != "warning: subscriptions are skipped" || strings.Contains(got[1], "hunter2") {
		t.Errorf("warnings = %q", got)
	}
	if !strings.Contains(dump.Words(), "hunter2") {
		t.Errorf("the words for the host are %q", dump.Words())
	}
}

func TestDumpOfMissingDatabase(t *testing.T) {
	instance := open(t, postgrestest.Shared(t).Environ()...)
	if _, err := instance.Dump(t.Context(), "not there", postgres.FormatPlain); !errors.Is(err, postgres.ErrNoDatabase) {
		t.Errorf("error = %v", err)
	}
}

// hang is a tool that has a child and ends only by force. Its two process ids appear in the file.
func hang(t *testing.T, name string) (path, pids string) {
	pids = filepath.Join(t.TempDir(), "pids")
	if err := syscall.Mkfifo(pids, 0o600); err != nil {
		t.Fatal(err)
	}
	return stub(t, name, "[ \"$1\" = --version ] && exit\ntrap '' TERM\nsleep 1000 &\necho $$ $! > "+pids+"\necho data\nwait\n"), pids
}

// gone fails the test if one of the processes that the file names does not end. A grandchild that was killed ends by
// itself, so that it may take a moment.
func gone(t *testing.T, content string) {
	t.Helper()
	for _, field := range strings.Fields(content) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		process, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		ended := []unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}
		if n, err := unix.Poll(ended, 10_000); n != 1 || err != nil {
			t.Errorf("process %d still runs, %v", pid, err)
		}
		if err := unix.Close(process); err != nil {
			t.Error(err)
		}
	}
}

func TestDumpEndsWithItsContext(t *testing.T) {
	path, pids := hang(t, "pg_dump")
	instance := open(t, append(postgrestest.Shared(t).Environ(), path)...)
	ctx, cancel := context.WithCancelCause(t.Context())
	dump, err := instance.Dump(ctx, "postgres", postgres.FormatPlain)
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Close()
	running, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("the agent stops")
	cancel(stop)
	if _, err := io.ReadAll(dump); !errors.Is(err, stop) {
		t.Errorf("error = %v, want %v", err, stop)
	}
	gone(t, string(running))
}

func TestDumpThatStalls(t *testing.T) {
	path := stub(t, "pg_dump", "[ \"$1\" = --version ] && exit\nexec sleep 1000")
	instance := open(t, append(postgrestest.Shared(t).Environ(), path)...)
	instance.StallTimeout = time.Millisecond
	dump, err := instance.Dump(t.Context(), "postgres", postgres.FormatPlain)
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Close()
	if _, err := io.ReadAll(dump); err == nil || !strings.Contains(err.Error(), "wrote nothing for too long") {
		t.Errorf("error = %v", err)
	}
}

func TestDumpClosedEarly(t *testing.T) {
	path, pids := hang(t, "pg_dump")
	dump, err := open(t, append(postgrestest.Shared(t).Environ(), path)...).Dump(t.Context(), "postgres", postgres.FormatPlain)
	if err != nil {
		t.Fatal(err)
	}
	running, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	if err := dump.Close(); err != nil {
		t.Fatal(err)
	}
	gone(t, string(running))
}

// killedAgent marks a process of this test that is to be killed while it dumps.
const killedAgent = "PGHARBOR_TEST_KILLED_AGENT"

func dumpUntilKilled() {
	settings, err := postgres.SettingsFrom(os.Environ())
	if err != nil {
		panic(err)
	}
	instance, err := postgres.Open(settings, os.Getenv(killedAgent))
	if err != nil {
		panic(err)
	}
	dump, err := instance.Dump(context.Background(), "postgres", postgres.FormatPlain)
	if err != nil {
		panic(err)
	}
	_, err = io.ReadAll(dump)
	panic(err)
}

// An agent that is killed takes its pg_dump along, which would hold locks for as long as it likes.
func TestDumpDiesWithTheAgent(t *testing.T) {
	alive := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(alive, 0o600); err != nil {
		t.Fatal(err)
	}
	path := stub(t, "pg_dump", "[ \"$1\" = --version ] && exit\nexec 3> "+alive+"\nexec sleep 1000")
	agent := exec.CommandContext(t.Context(), os.Args[0])
	agent.Env = append(postgrestest.Shared(t).Environ(), path, killedAgent+"="+t.TempDir())
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(alive) // opens when pg_dump does
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait()
	if _, err := io.ReadAll(file); err != nil { // ends when pg_dump does
		t.Fatal(err)
	}
}

func TestDumpWhoseBackendIsTerminated(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "big")
	server.Exec(t, "big", "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
	dump, err := open(t, server.Environ()...).Dump(t.Context(), "big", postgres.FormatPlain)
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Close()
	if _, err := io.ReadFull(dump, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'big'")
	// Which of the two comes is a matter of what the kernel drops when the other side is gone.
	_, err = io.Copy(io.Discard, dump)
	if err == nil || !strings.Contains(err.Error(), "admin_shutdown") && !strings.Contains(err.Error(), "connection_failure") {
		t.Errorf("error = %v", err)
	}
}

// What fails half-way, on either side, leaves nothing committed.
func TestLoadFailures(t *testing.T) {
	server := postgrestest.Shared(t)
	instance := open(t, server.Environ()...)
	const before = "CREATE TABLE t (n int);\nINSERT INTO t VALUES (1);\n"
	broken := errors.New("the disk is broken")
	tests := []struct {
		name string
		src  io.Reader
		want string
	}{
		{"the input breaks", io.MultiReader(strings.NewReader(before), iotest.ErrReader(broken)), "the disk is broken"},
		{"an error in the SQL", strings.NewReader(before + "SELECT 1/0;\nCREATE TABLE u ();\n"), "division_by_zero (SQLSTATE 22012)"},
		{"an unknown command", strings.NewReader(before + "\\nosuch\n"), "psql: exit status 3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server.CreateDatabase(t, "load")
			err := instance.Load(t.Context(), "load", postgres.FormatPlain, test.src)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one that says %q", err, test.want)
			}
			if got := server.Value(t, "load", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); got != "0" {
				t.Errorf("%s tables were left", got)
			}
		})
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "load")
	instance := open(t, server.Environ()...)
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := instance.Load(ctx, "load", postgres.FormatPlain, reader)
		done <- errors.Join(err, reader.Close())
	}()
	if _, err := io.WriteString(writer, "CREATE TABLE t ();\n"); err != nil {
		t.Fatal(err)
	}
	cancel()
	// More of the dump comes until nobody takes it.
	for err := error(nil); err == nil; {
		_, err = io.WriteString(writer, strings.Repeat("-- more\n", 1000))
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if got := server.Value(t, "load", "SELECT count(*) FROM pg_class WHERE relname = 't'"); got != "0" {
		t.Error("what was loaded before is committed")
	}
}

// A cut archive is told by pg_restore, which reads it to its end.
func TestScript(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "script")
	server.Exec(t, "script", "CREATE TABLE t AS SELECT generate_series(1, 1000)")
	instance := open(t, server.Environ()...)
	archive := dumpAll(t, instance, "script", postgres.FormatCustom)
	var sql strings.Builder
	if err := instance.Script(t.Context(), postgres.Server{}, strings.NewReader(archive), &sql); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(sql.String(), "COPY public.t") || !strings.Contains(sql.String(), "PostgreSQL database dump complete") {
		t.Errorf("the script is not whole: %.200q", sql.String())
	}
	if err := instance.Script(t.Context(), postgres.Server{}, strings.NewReader(archive[:len(archive)-100]), io.Discard); err == nil {
		t.Error("a cut archive passes")
	}
}
