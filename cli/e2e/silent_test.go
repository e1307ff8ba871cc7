package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// quietFleet is one instance, well and watched, whose agent runs in a mount
// namespace of its own, on a small disk, with a line that can be cut and tools that
// can be replaced.
type quietFleet struct {
	*world
	line  *line
	agent *exec.Cmd
	// supervisor hears what the agent tells systemd.
	supervisor *net.UnixConn
}

const (
	diskMiB    = 6
	mountAgent = `mkdir -p "$BACKUP_DIR" && mount -t tmpfs -o size=%dm,mode=700 tmpfs "$BACKUP_DIR" && exec pgharbor-agent run`
)

func newQuietFleet(t *testing.T) *quietFleet {
	f := &quietFleet{world: newWorld(t, programs(t))}
	f.server.Exec(t, "postgres", "CREATE ROLE keeper LOGIN; GRANT pg_read_all_data TO keeper")
	f.server.Exec(t, "postgres", "CREATE DATABASE shop")
	f.server.Exec(t, "shop", `CREATE TABLE goods AS SELECT i, md5(i::text) AS text FROM generate_series(1, 20000) i`)
	for _, dir := range []string{"stubs", "secrets"} {
		if err := os.Mkdir(f.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.write("secrets/passphrase", "correct horse\n")
	f.env = slices.DeleteFunc(f.env, func(variable string) bool { return strings.HasPrefix(variable, "BACKUP_ENCRYPT_PASSPHRASE=") })
	f.env = append(f.env, "PATH="+f.path("stubs")+":"+f.bin+":"+os.Getenv("PATH"), "REAL="+f.bin+":"+os.Getenv("PATH"),
		"BACKUP_ENCRYPT_PASSPHRASE_FILE="+f.path("secrets/passphrase"), "ENABLE_BACKUPS=true", "PGHARBOR_LOOK_EVERY=1s", "PGUSER=keeper")
	supervisor, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: f.path("notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = supervisor.Close() })
	f.supervisor = supervisor
	f.env = append(f.env, "NOTIFY_SOCKET="+f.path("notify"))
	host := loopback(t)
	f.line = newLine(t, host+":7443", host+":7444")
	f.controlPlane(host+":7444", host+":7443")
	f.pastTheLine(host + ":7444")
	t.Cleanup(f.stopAgent)
	f.startAgent()
	f.awaitAgent()
	for range 2 {
		f.run("pgharbor", "backup", "shop-db")
	}
	f.eventually("the fleet is well", f.healthy)
	return f
}

// pastTheLine lets people reach the control plane when its agent can't.
func (f *quietFleet) pastTheLine(address string) {
	f.Helper()
	files, err := filepath.Glob(f.path("person", "*", "*", "control-plane.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no identity of a person: %v", err)
	}
	for _, file := range files {
		f.write(strings.TrimPrefix(file, f.dir), fmt.Sprintf(`{"address": %q}`, address))
	}
}

func (f *quietFleet) write(name, content string) {
	f.Helper()
	if err := os.WriteFile(f.path(name), []byte(content), 0o755); err != nil {
		f.Fatal(err)
	}
}

// startAgent runs the agent on a disk of its own.
func (f *quietFleet) startAgent() {
	f.Helper()
	namespace := []string{"-m"}
	if os.Geteuid() != 0 {
		namespace = []string{"-r", "-m"}
	}
	f.agent = exec.CommandContext(context.WithoutCancel(f.Context()), "unshare",
		append(namespace, "sh", "-c", fmt.Sprintf(mountAgent, diskMiB))...)
	f.agent.Dir, f.agent.Env = f.dir, f.env
	log, err := os.OpenFile(f.path("agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.Fatal(err)
	}
	defer log.Close()
	f.agent.Stdout, f.agent.Stderr = log, log
	if err := f.agent.Start(); err != nil {
		f.Fatal(err)
	}
}

func (f *quietFleet) signal(signal syscall.Signal) {
	f.Helper()
	if err := f.agent.Process.Signal(signal); err != nil {
		f.Errorf("the agent is gone: %v", err)
	}
}

func (f *quietFleet) stopAgent() {
	if f.agent == nil || f.agent.ProcessState != nil {
		return
	}
	_ = f.agent.Process.Signal(syscall.SIGCONT)
	_ = f.agent.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = f.agent.Wait()
}

// within runs a command in the agent's mount namespace. What is busy there is not
// for long.
func (f *quietFleet) within(command ...string) {
	f.Helper()
	enter := []string{"-t", strconv.Itoa(f.agent.Process.Pid), "-m"}
	if os.Geteuid() != 0 {
		enter = append(enter, "-U", "--preserve-credentials")
	}
	f.eventually(strings.Join(command, " "), func() bool {
		out, err := exec.CommandContext(f.Context(), "nsenter", append(enter, command...)...).CombinedOutput()
		if err != nil && !strings.Contains(string(out), "busy") {
			f.Fatalf("%q: %v\n%s", command, err, out)
		}
		return err == nil
	})
}

type healthOutput struct {
	Healthy   bool
	Databases []struct {
		Database string
		Reasons  []struct{ Verdict, Text string }
	}
}

func (f *quietFleet) health() (h healthOutput) {
	f.Helper()
	f.decode(&h, "pgharbor", "health", "-o", "json")
	return h
}

func (f *quietFleet) healthy() bool { return f.health().Healthy }

// alarms wants a verdict with a reason in which words stand, for a database, and
// that somebody is told: the alert fires.
func (f *quietFleet) alarms(verdict, database, words string) {
	f.Helper()
	f.eventually(verdict+" of "+database, func() bool {
		for _, d := range f.health().Databases {
			for _, r := range d.Reasons {
				if r.Verdict == verdict && d.Database == database && strings.Contains(r.Text, words) {
					return true
				}
			}
		}
		return false
	})
	f.eventually("the alert "+verdict, func() bool {
		var list struct {
			Alerts []struct{ Verdict, State string }
		}
		f.decode(&list, "pgharbor", "alerts", "list", "-o", "json")
		return slices.ContainsFunc(list.Alerts, func(a struct{ Verdict, State string }) bool { return a.Verdict == verdict && a.State == "firing" })
	})
}

// mended wants the fleet to be well again.
func (f *quietFleet) mended() {
	f.Helper()
	f.eventually("the fleet is well again", f.healthy)
}

// backUp makes a backup, however it ends.
func (f *quietFleet) backUp() { _ = f.command("pgharbor", "backup", "shop-db").Run() }

// Ways in which backups have failed in silence. Each is provoked for real, raises an alert, and is
// over once it is mended. A clock that moves is provoked outside of the control plane's sessions,
// where a clock can be moved.
func TestSilentFailuresAreAlarmed(t *testing.T) {
	f := newQuietFleet(t)
	postgres := func(database, sql string) { f.server.Exec(t, database, sql) }

	t.Log("a new database")
	postgres("postgres", "CREATE DATABASE fresh")
	f.alarms("UNPROTECTED", "fresh", "no schedule covers it")
	postgres("postgres", "DROP DATABASE fresh")
	f.mended()

	t.Log("a database that was emptied")
	postgres("shop", "CREATE TABLE away AS TABLE goods; TRUNCATE goods; DROP TABLE away")
	f.backUp()
	f.alarms("SIZE_ANOMALY", "shop", "median")
	postgres("shop", "INSERT INTO goods SELECT i, md5(i::text) FROM generate_series(1, 20000) i")
	f.backUp()
	f.mended()

	t.Log("a truncated dump, whose pg_dump exits 0")
	f.write("stubs/pg_dump", "#!/bin/sh\nPATH=$REAL\ncase \"$*\" in *--version*) exec pg_dump --version ;; esac\npg_dump \"$@\" | head -n 20\nexit 0\n")
	f.backUp()
	f.alarms("FAILED", "shop", "end marker")
	f.remove("stubs/pg_dump")
	f.backUp()
	f.mended()

	t.Log("a pg_dump older than its server, and no other")
	f.write("old-pg_dump", "#!/bin/sh\ncase \"$*\" in *--version*) echo 'pg_dump (PostgreSQL) 9.6.24'; exit ;; esac\necho 'pg_dump: error: server version mismatch' >&2\nexit 1\n")
	tools := f.dumpTools()
	for _, tool := range tools {
		f.within("mount", "--bind", f.path("old-pg_dump"), tool)
	}
	f.alarms("OUTDATED", "shop", "9.6.24")
	for _, tool := range tools {
		f.within("umount", tool)
	}
	f.mended()

	t.Log("the role's rights are gone")
	postgres("postgres", "REVOKE pg_read_all_data FROM keeper")
	f.backUp()
	f.alarms("FAILED", "shop", "insufficient_privilege (SQLSTATE 42501)")
	postgres("postgres", "GRANT pg_read_all_data TO keeper")
	f.backUp()
	f.mended()

	t.Log("an exclusive lock")
	f.run("pgharbor", "thresholds", "set", "*", "--hang-after", "3s")
	release := f.lock("shop", "goods")
	f.run("pgharbor", "backup", "shop-db", "--wait=false")
	f.alarms("HUNG", "shop", "under way")
	release()
	f.run("pgharbor", "thresholds", "remove", "*")
	f.mended()

	f.badFolders()
}

// badFolders goes through what can happen to the folder of the backups. The last of it leaves an empty one.
func (f *quietFleet) badFolders() {
	f.Helper()
	f.Log("a backup folder that is read-only")
	f.within("mount", "-o", "remount,ro", f.path("backups"))
	f.alarms("SPACE", "shop", "read-only")
	f.within("mount", "-o", "remount,rw", f.path("backups"))
	f.mended()

	f.Log("a backup folder that is full")
	// dd ends when the disk does.
	f.within("sh", "-c", "dd if=/dev/zero of="+f.path("backups", "ballast")+" bs=64k status=none 2>/dev/null || true")
	f.alarms("SPACE", "shop", "bytes free")
	f.within("rm", f.path("backups", "ballast"))
	f.mended()

	f.Log("a backup folder that is no longer mounted")
	f.within("umount", "-l", f.path("backups"))
	f.alarms("SPACE", "shop", "not the one that was opened")
	f.stopAgent()
	f.startAgent() // onto an empty disk
	f.alarms("DAMAGED", "shop", "gone from the agent's disk")
}

// dumpTools are the files behind every pg_dump that the agent could find.
func (f *quietFleet) dumpTools() (tools []string) {
	f.Helper()
	installed, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		f.Fatal(err)
	}
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), installed...) {
		if tool, err := filepath.EvalSymlinks(filepath.Join(dir, "pg_dump")); err == nil && !slices.Contains(tools, tool) {
			tools = append(tools, tool)
		}
	}
	return tools
}

// says wants the agent to tell its supervisor so, sooner or later.
func (f *quietFleet) says(words string) {
	f.Helper()
	if err := f.supervisor.SetReadDeadline(time.Now().Add(patience)); err != nil {
		f.Fatal(err)
	}
	message := make([]byte, 4096)
	for {
		n, err := f.supervisor.Read(message)
		if err != nil {
			f.Fatalf("the agent does not tell systemd %q: %v", words, err)
		}
		if strings.HasPrefix(string(message[:n]), "STATUS=") && strings.Contains(string(message[:n]), words) {
			return
		}
	}
}

// remove removes a file.
func (f *quietFleet) remove(name string) {
	f.Helper()
	if err := os.Remove(f.path(name)); err != nil {
		f.Fatal(err)
	}
}

// lock keeps everybody from reading a table until it is released.
func (f *quietFleet) lock(database, table string) (release func()) {
	f.Helper()
	ctx := context.WithoutCancel(f.Context())
	session, err := pgconn.Connect(ctx, f.server.URL(database))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = session.Close(ctx) })
	if _, err := session.Exec(ctx, "BEGIN; LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE").ReadAll(); err != nil {
		f.Fatal(err)
	}
	return func() { _ = session.Close(ctx) }
}
