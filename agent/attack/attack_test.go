// Package attack_test has the attacks on an agent: what somebody does who may do something in its reach, and wants more.
// Each shows that it is stopped, and that the same trap is live for who is not careful.
package attack_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/daemon"
)

// agentVariable makes the test binary the agent.
const agentVariable = "PGHARBOR_TEST_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(agentVariable) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := daemon.Main(ctx, daemon.Process{
		Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "test", Now: time.Now,
	})
	stop()
	os.Exit(code)
}

// host is where an agent runs.
type host struct {
	t       *testing.T
	dir     string
	environ []string
}

func newHost(t *testing.T, environ ...string) *host {
	h := &host{t: t, dir: t.TempDir()}
	h.environ = append(environ, agentVariable+"=1", "PGHARBOR_STATE_DIR="+filepath.Join(h.dir, "state"), "BACKUP_DIR="+filepath.Join(h.dir, "backups"),
		"BACKUP_VERIFY_DIR="+os.TempDir())
	return h
}

// agent runs an agent to its end, which must be a success, and returns what it printed.
func (h *host) agent(args ...string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := h.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		h.t.Errorf("%q: %v\n%s%s", args, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

func (h *host) command(ctx context.Context, args ...string) *exec.Cmd {
	h.t.Helper()
	program, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = h.environ, h.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// serve has an agent serve until it has said something, and ends it.
func (h *host) serve(until string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	cmd := h.command(ctx, "run", "--look-every=100ms")
	said := &listener{text: until, heard: make(chan struct{})}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	select {
	case <-said.heard:
	case <-ctx.Done():
	}
	err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
	if err != nil || ctx.Err() != nil {
		h.t.Errorf("run: %v\n%s", err, said.all.String())
	}
}

// listener is a writer that tells when a text has gone by.
type listener struct {
	text  string
	heard chan struct{}
	once  sync.Once
	all   strings.Builder
}

func (l *listener) Write(p []byte) (int, error) {
	l.all.Write(p)
	if strings.Contains(l.all.String(), l.text) {
		l.once.Do(func() { close(l.heard) })
	}
	return len(p), nil
}
