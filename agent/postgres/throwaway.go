package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/cage"
)

const (
	// ThrowawayPrefix begins the name of every folder that a throwaway server lives in: RemoveThrowaway removes no other.
	ThrowawayPrefix = "pgharbor-throwaway-"
	// throwawayUser is the server's superuser. It is none that a dump names: a role postgres is one among others here.
	throwawayUser = "pgharbor_throwaway"
	// throwawayPort is a part of the socket's name; there is no other.
	throwawayPort = "5432"
	// maxSocket is the longest path of a Unix socket, sun_path of unix(7) without its NUL.
	maxSocket = 107
	// stopGrace is how long a server may take to end before it is killed.
	stopGrace = 20 * time.Second
	// niceness lets the instance's own server go first.
	niceness = 10
)

// ThrowawayRequest says which server is wanted, and where.
type ThrowawayRequest struct {
	// Dir is the folder that the server is to live in, and nothing else: RemoveThrowaway removes it with all that is in
	// it. Its name begins with ThrowawayPrefix, and its parent exists.
	Dir string
	// Bin is the folder of the server's programs; empty means to look for them.
	Bin string
	// Major is the oldest major version that will do; that one is taken before a newer one. 0 is content with any.
	Major int
	// Tables is about how many tables one transaction is to lock.
	Tables int
	// WithoutCage starts the server with nothing that holds it.
	WithoutCage bool
}

// Throwaway is a server that nobody else can reach and that ends with its context, with Close, or with this process. It
// listens on a socket in its private folder alone, and forgets all at a crash: it is there to have something restored into
// it. Its Instance reaches it as its superuser. What is restored is others' code, and runs with all rights that the server
// has; so the server is in a cage, and what it answers is data with bounds.
type Throwaway struct {
	*Instance
	// Version is that of the server, "15.18".
	Version string
	// Cage says what holds the server; nil is nothing.
	Cage *Cage

	dir    string
	own    *os.Root // dir, in which the server may have put links to anywhere
	spaces int
	user   *cage.User // nil for this process's own
	cmd    *exec.Cmd
	log    *tail
	reader sync.WaitGroup
}

// StartThrowaway makes and starts a server; ErrNoBinaries where none that would do is installed, ErrNoCage where nothing
// would hold it. What it made before an error is gone. Beside it in time and in memory stays the instance: the server is
// small and nice.
func (i *Instance) StartThrowaway(ctx context.Context, req ThrowawayRequest) (*Throwaway, error) {
	if socket := filepath.Join(req.Dir, runFolder, ".s.PGSQL."+throwawayPort); len(socket) > maxSocket {
		return nil, fmt.Errorf("the path of the folder for a throwaway server is too long: %s has %d bytes, and a socket's may have %d", socket, len(socket), maxSocket)
	}
	found, err := i.findBinaries(ctx, req.Bin, req.Major)
	if err != nil {
		return nil, err
	}
	t := &Throwaway{Version: strings.Fields(found.server.Version)[0], dir: req.Dir, log: &tail{limit: stderrLimit}}
	if !req.WithoutCage {
		if t.Cage, err = FindCage(); err != nil {
			return nil, err
		}
	}
	if t.user, err = unprivileged(); err != nil {
		return nil, err
	}
	if err = t.reachable(); err != nil {
		return nil, err
	}
	if err = t.start(ctx, i, found, req.Tables); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Throwaway) start(ctx context.Context, i *Instance, found binaries, tables int) error {
	if err := t.makeFolders(); err != nil {
		return err
	}
	settings := Settings{&resolved{
		values:  map[string]string{"host": t.run(), "port": throwawayPort, "user": throwawayUser, "dbname": "postgres", "sslmode": "disable"},
		environ: i.inheritedEnviron(),
	}}
	var err error
	if t.Instance, err = Open(settings, filepath.Dir(i.dir)); err != nil {
		return err
	}
	t.answerLimit = maxAnswer
	initdb, err := t.command(ctx, found, "initdb", "-D", t.data(), "-U", throwawayUser,
		"--no-sync", "--encoding=UTF8", "--locale=C", "--auth=trust", "--no-instructions")
	if err != nil {
		return err
	}
	if err := initdb.Run(); err != nil {
		return t.failure(ctx, "initdb", err)
	}
	if t.cmd, err = t.command(ctx, found, "postgres", t.arguments(tables)...); err != nil {
		return err
	}
	// It ends its children in order with SIGQUIT, and they clear away what they share.
	t.cmd.Cancel = func() error { return t.cmd.Process.Signal(syscall.SIGQUIT) }
	return t.serve(ctx)
}

// arguments keep the server small, away from the network and in its folder; nothing of it needs to survive a crash.
func (t *Throwaway) arguments(tables int) []string {
	// A transaction locks a table, its indexes, its TOAST table and its sequences; this many for each of the connections.
	locks := max(1024, tables)
	arguments := []string{"-D", t.data()}
	for _, setting := range []string{
		"listen_addresses=", "unix_socket_directories=" + t.run(), "unix_socket_permissions=0700", "port=" + throwawayPort,
		"fsync=off", "full_page_writes=off", "synchronous_commit=off", "wal_level=minimal", "max_wal_senders=0",
		"max_wal_size=1GB", "checkpoint_timeout=1h", "autovacuum=off", "restart_after_crash=off",
		"max_connections=10", fmt.Sprintf("max_locks_per_transaction=%d", locks),
		"shared_buffers=64MB", "maintenance_work_mem=64MB", "work_mem=8MB", "jit=off", "max_parallel_maintenance_workers=0",
		"max_logical_replication_workers=0",
		// In its folder too is what servers share in memory.
		"dynamic_shared_memory_type=mmap",
		// Huge pages are the instance's.
		"huge_pages=off",
		// What the dump says stays out of any log.
		"logging_collector=off", "log_destination=stderr", "log_min_messages=warning", "log_min_error_statement=panic",
		"log_error_verbosity=terse", "log_statement=none", "log_min_duration_statement=-1",
	} {
		arguments = append(arguments, "-c", setting)
	}
	return arguments
}

// serve starts the server and returns once it takes connections.
func (t *Throwaway) serve(ctx context.Context) error {
	t.cmd.Stderr = nil
	stderr, err := t.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := t.cmd.Start(); err != nil {
		t.cmd = nil
		return fmt.Errorf("postgres: %w", err)
	}
	// Its children inherit this. That it is refused only makes the server less nice.
	_ = unix.Setpriority(unix.PRIO_PROCESS, t.cmd.Process.Pid, niceness)
	ready := make(chan bool, 1)
	t.reader.Go(func() {
		lines := bufio.NewReader(stderr)
		ready <- t.awaitReady(lines)
		_, _ = io.Copy(t.log, lines)
	})
	if !<-ready {
		return t.failure(ctx, "postgres", errors.New("the server did not start"))
	}
	return nil
}

// awaitReady reads the server's log up to the line that says so.
func (t *Throwaway) awaitReady(lines *bufio.Reader) bool {
	for {
		line, err := lines.ReadString('\n')
		_, _ = t.log.Write([]byte(line))
		if err != nil {
			return false
		}
		if strings.Contains(line, "ready to accept connections") {
			return true
		}
	}
}

// failure says why a program of the server did not do its work, in its own words.
func (t *Throwaway) failure(ctx context.Context, tool string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &ToolError{Tool: tool, Exit: -1, Stderr: t.log.String(), Err: err}
}

// Close ends the server and removes its folder with all that is in it. It may be called again after an error.
func (t *Throwaway) Close() error {
	var err error
	if t.Instance != nil {
		err = t.Instance.Close()
	}
	if t.own != nil {
		err = errors.Join(err, t.own.Close())
	}
	if t.cmd != nil {
		err = errors.Join(err, t.end())
	}
	return errors.Join(err, RemoveThrowaway(t.dir))
}

// end ends the server and all that it started, whatever that does to stay: in a cage, it is all in the server's process group.
// Until the server is waited for, no other process can have its number.
func (t *Throwaway) end() error {
	server := t.cmd.Process
	_ = server.Signal(syscall.SIGQUIT)
	timer := time.AfterFunc(stopGrace, func() { _ = server.Kill() })
	awaitExit(server.Pid)
	timer.Stop()
	_ = syscall.Kill(-server.Pid, syscall.SIGKILL)
	err := endProcessesIn(t.dir)
	t.reader.Wait()
	_ = t.cmd.Wait() // killed or not, it has ended
	t.cmd = nil
	return err
}

// awaitExit waits for the end of a child and leaves it to be waited for.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
