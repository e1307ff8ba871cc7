package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// world is a folder, a Postgres and the programs, for tests that need more
// than a script can say.
type world struct {
	*testing.T
	bin    string
	dir    string
	server *postgrestest.Server
	env    []string
}

func newWorld(t *testing.T, bin string) *world {
	w := &world{T: t, bin: bin, dir: t.TempDir(), server: postgrestest.Start(t)}
	w.env = append(w.server.Environ(),
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+w.dir,
		"PGHARBOR_CONFIG="+w.path("person"), "PGHARBOR_STATE_DIR="+w.path("state"),
		"BACKUP_DIR="+w.path("backups"), "BACKUP_DATABASES=shop", "BACKUP_ENCRYPT_PASSPHRASE=correct horse",
	)
	return w
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *world) command(program string, args ...string) *exec.Cmd {
	// The test's own context ends before its daemons are stopped.
	cmd := exec.CommandContext(context.WithoutCancel(w.Context()), filepath.Join(w.bin, program), args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	return cmd
}

// run wants a program to exit 0 and returns its standard output.
func (w *world) run(program string, args ...string) string {
	w.Helper()
	var stdout, stderr bytes.Buffer
	cmd := w.command(program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		w.Fatalf("%s %q: %v\n%s%s", program, args, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// decode runs a program that prints JSON.
func (w *world) decode(into any, program string, args ...string) {
	w.Helper()
	if err := json.Unmarshal([]byte(w.run(program, args...)), into); err != nil {
		w.Fatalf("%s %q: %v", program, args, err)
	}
}

// start runs a daemon until the test ends, or until the returned function
// stops it with SIGTERM, after which it must exit 0. It returns once the daemon
// has logged something: before that it may not listen to signals yet.
func (w *world) start(program string, args ...string) (stop func()) {
	w.Helper()
	log, err := os.OpenFile(w.path(program+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.Fatal(err)
	}
	before, err := log.Stat()
	if err != nil {
		w.Fatal(err)
	}
	cmd := w.command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			w.Errorf("%s ended by itself: %v", program, err)
		}
		if err := cmd.Wait(); err != nil {
			content, _ := os.ReadFile(log.Name())
			w.Errorf("%s: %v\n%s", program, err, content)
		}
		_ = log.Close()
	}
	w.Cleanup(stop)
	w.eventually(program+" says that it starts", func() bool {
		now, err := log.Stat()
		return err == nil && now.Size() > before.Size()
	})
	return stop
}

// eventually wants a condition to hold at last.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	deadline, ticker := time.After(patience), time.NewTicker(retry)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			w.Fatalf("not within %s: %s", patience, what)
		}
	}
}

type invited struct {
	Invite string `json:"invite"`
}

// harbor is controlPlane and its agent, which is connected.
func (w *world) harbor(listen, advertise string) {
	w.Helper()
	w.controlPlane(listen, advertise)
	w.start("pgharbor-agent", "run")
	w.awaitAgent()
}

func (w *world) awaitAgent() {
	w.Helper()
	w.eventually("the agent is connected", func() bool {
		return bytes.Contains([]byte(w.run("pgharbor", "agents", "list", "-o", "json")), []byte(`"connected"`))
	})
}

// controlPlane starts a control plane that is reached at the advertised address,
// logs its OWNER in, and enrols an agent shop-db.
func (w *world) controlPlane(listen, advertise string) {
	w.Helper()
	var owner, agent invited
	w.decode(&owner, "pgharbor-controlplane", "init", "--data-dir", w.path("harbor"), "--advertise", advertise, "-o", "json")
	w.start("pgharbor-controlplane", "serve", "--data-dir", w.path("harbor"), "--listen", listen, "--http-listen", "", "--heartbeat", "1s")
	w.eventually("the OWNER logs in", func() bool { return w.command("pgharbor", "login", owner.Invite).Run() == nil })
	w.decode(&agent, "pgharbor", "agents", "invite", "shop-db", "-o", "json")
	w.run("pgharbor-agent", "enroll", agent.Invite)
}
