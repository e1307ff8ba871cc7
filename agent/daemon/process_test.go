package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
)

// agentVariable makes the test binary the agent.
const agentVariable = "PGHARBOR_TEST_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(agentVariable) == "" {
		postgrestest.Main(m)
		return
	}
	if err := Harden(); err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := Main(ctx, Process{
		Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "test", Now: time.Now,
	})
	stop()
	os.Exit(code)
}

// host is the folders and variables of an agent that is started by a test.
type host struct {
	t       *testing.T
	dir     string
	environ []string
	as      *syscall.Credential // nil: as the test
	program string
}

func newHost(t *testing.T, variables ...string) *host {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: t.TempDir(), program: program}
	h.environ = append(postgrestest.Shared(t).Environ(), agentVariable+"=1",
		"PGHARBOR_STATE_DIR="+filepath.Join(h.dir, "state"), "BACKUP_DIR="+h.backups())
	h.environ = append(h.environ, variables...)
	return h
}

func (h *host) backups() string { return filepath.Join(h.dir, "backups") }

// process is an agent that runs.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout output
	stderr output
	exit   chan int // its exit code, once; -1 if a signal ended it
}

func (h *host) start(args ...string) *process {
	h.t.Helper()
	p := &process{t: h.t, cmd: exec.Command(h.program, args...), exit: make(chan int, 1)}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = h.environ, h.dir, &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.as}
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.cmd.Wait() // the code says how it ended
		p.exit <- p.cmd.ProcessState.ExitCode()
	}()
	h.t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-ended
	})
	return p
}

// run runs an agent to its end.
func (h *host) run(args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	p := h.start(args...)
	code = p.wait()
	return code, p.stdout.String(), p.stderr.String()
}

func (p *process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
}

func (p *process) wait() int {
	p.t.Helper()
	select {
	case code := <-p.exit:
		return code
	case <-time.After(patience):
		p.t.Fatalf("the agent does not end; it says:\n%s", p.stderr.String())
		return 0
	}
}

// says waits for a word in the agent's log.
func (p *process) says(word string) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		text, more := p.stderr.look()
		if strings.Contains(text, word) {
			return
		}
		select {
		case <-more:
		case <-deadline:
			p.t.Fatalf("the agent does not say %q, but:\n%s", word, text)
		}
	}
}

const patience = 2 * time.Minute

// output is what a process wrote; it can be waited on.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
	more   chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	return o.buffer.Write(p)
}

func (o *output) look() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return o.buffer.String(), o.more
}

func (o *output) String() string {
	text, _ := o.look()
	return text
}

// journal reads what the agent has to report.
func (h *host) journal() []state.Entry {
	h.t.Helper()
	folder, err := state.Open(filepath.Join(h.dir, "state"))
	if err != nil {
		h.t.Fatal(err)
	}
	ids, err := folder.Journal.Pending()
	if err != nil {
		h.t.Fatal(err)
	}
	var entries []state.Entry
	for _, id := range ids {
		entry, err := folder.Journal.Read(id)
		if err != nil {
			h.t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	return entries
}

// slowDatabase makes a database whose dumps wait until the test ends.
func slowDatabase(t *testing.T, name string) {
	t.Helper()
	server, ctx := postgrestest.Shared(t), context.Background()
	server.CreateDatabase(t, name)
	server.Exec(t, name, "CREATE TABLE goods (id int)")
	conn, err := pgx.Connect(ctx, server.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	if _, err := conn.Exec(ctx, "BEGIN; LOCK TABLE goods"); err != nil {
		t.Fatal(err)
	}
}

// awaitDump waits until a dump of the database waits for its lock.
func awaitDump(t *testing.T, database string) {
	t.Helper()
	server, deadline := postgrestest.Shared(t), time.Now().Add(patience)
	query := fmt.Sprintf(`SELECT count(*) FROM pg_stat_activity
		WHERE datname = '%s' AND application_name = 'pg_dump' AND wait_event_type = 'Lock'`, database)
	for server.Value(t, "postgres", query) == "0" {
		if time.Now().After(deadline) {
			t.Fatalf("no dump of %s came", database)
		}
	}
}
