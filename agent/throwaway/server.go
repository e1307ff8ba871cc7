// Package throwaway starts PostgreSQL servers of their own, in a cage, for test restores.
package throwaway

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
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/internal/tail"
)

const (
	// Prefix begins the name of every folder that a throwaway server lives in: Remove removes no other.
	Prefix = "pgharbor-throwaway-"
	// superuser is the server's superuser. It is none that a dump names: a role postgres is one among others here.
	superuser = "pgharbor_throwaway"
	// port is a part of the socket's name; there is no other.
	port = "5432"
	// maxSocket is the longest path of a Unix socket, sun_path of unix(7) without its NUL.
	maxSocket = 107
	// stopGrace is how long a server may take to end before it is killed.
	stopGrace = 20 * time.Second
	// niceness lets the instance's own server go first.
	niceness = 10
)

// Request says which server is wanted, and where.
type Request struct {
	// Dir is the folder that the server is to live in, and nothing else: Remove removes it with all that is in
	// it. Its name begins with Prefix, and its parent exists.
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

// Server is a server that nobody else can reach and that ends with its context, with Close, or with this process. It
// listens on a socket in its private folder alone, and forgets all at a crash: it is there to have something restored into
// it. Its Instance reaches it as its superuser. What is restored is others' code, and runs with all rights that the server
// has; so the server is in a cage, and what it answers is data with bounds.
type Server struct {
	*postgres.Instance
	// Version is that of the server, "15.18".
	Version string
	// Cage says what holds the server; nil is nothing.
	Cage *Cage

	dir    string
	own    *os.Root // dir, in which the server may have put links to anywhere
	spaces int
	user   *cage.User // nil for this process's own
	cmd    *exec.Cmd
	log    *tail.Writer
	reader sync.WaitGroup
}

// Start makes and starts a server; ErrNoBinaries where none that would do is installed, ErrNoCage where nothing
// would hold it. What it made before an error is gone. Beside it in time and in memory stays the instance: the server is
// small and nice.
func Start(ctx context.Context, i *postgres.Instance, req Request) (*Server, error) {
	if socket := filepath.Join(req.Dir, runFolder, ".s.PGSQL."+port); len(socket) > maxSocket {
		return nil, fmt.Errorf("the path of the folder for a throwaway server is too long: %s has %d bytes, and a socket's may have %d", socket, len(socket), maxSocket)
	}
	found, err := i.FindBinaries(ctx, req.Bin, req.Major)
	if err != nil {
		return nil, err
	}
	s := &Server{Version: strings.Fields(found.Server.Version)[0], dir: req.Dir, log: &tail.Writer{Limit: logLimit}}
	if !req.WithoutCage {
		if s.Cage, err = FindCage(); err != nil {
			return nil, err
		}
	}
	if s.user, err = unprivileged(); err != nil {
		return nil, err
	}
	if err = s.reachable(); err != nil {
		return nil, err
	}
	if err = s.start(ctx, i, found, req.Tables); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, i *postgres.Instance, found postgres.Binaries, tables int) error {
	if err := s.makeFolders(); err != nil {
		return err
	}
	reached := map[string]string{"host": s.run(), "port": port, "user": superuser, "dbname": "postgres", "sslmode": "disable"}
	var err error
	if s.Instance, err = i.Beside(reached, maxAnswer); err != nil {
		return err
	}
	initdb, err := s.command(ctx, found, "initdb", "-D", s.data(), "-U", superuser,
		"--no-sync", "--encoding=UTF8", "--locale=C", "--auth=trust", "--no-instructions")
	if err != nil {
		return err
	}
	if err := initdb.Run(); err != nil {
		return s.failure(ctx, "initdb", err)
	}
	if s.cmd, err = s.command(ctx, found, "postgres", s.arguments(tables)...); err != nil {
		return err
	}
	// It ends its children in order with SIGQUIT, and they clear away what they share.
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGQUIT) }
	return s.serve(ctx)
}

// arguments keep the server small, away from the network and in its folder; nothing of it needs to survive a crash.
func (s *Server) arguments(tables int) []string {
	// A transaction locks a table, its indexes, its TOAST table and its sequences; this many for each of the connections.
	locks := max(1024, tables)
	arguments := []string{"-D", s.data()}
	for _, setting := range []string{
		"listen_addresses=", "unix_socket_directories=" + s.run(), "unix_socket_permissions=0700", "port=" + port,
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
func (s *Server) serve(ctx context.Context) error {
	s.cmd.Stderr = nil
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return fmt.Errorf("postgres: %w", err)
	}
	// Its children inherit this. That it is refused only makes the server less nice.
	_ = unix.Setpriority(unix.PRIO_PROCESS, s.cmd.Process.Pid, niceness)
	ready := make(chan bool, 1)
	s.reader.Go(func() {
		lines := bufio.NewReader(stderr)
		ready <- s.awaitReady(lines)
		_, _ = io.Copy(s.log, lines)
	})
	if !<-ready {
		return s.failure(ctx, "postgres", errors.New("the server did not start"))
	}
	return nil
}

// awaitReady reads the server's log up to the line that says so.
func (s *Server) awaitReady(lines *bufio.Reader) bool {
	for {
		line, err := lines.ReadString('\n')
		_, _ = s.log.Write([]byte(line))
		if err != nil {
			return false
		}
		if strings.Contains(line, "ready to accept connections") {
			return true
		}
	}
}

// failure says why a program of the server did not do its work, in its own words.
func (s *Server) failure(ctx context.Context, tool string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &postgres.ToolError{Tool: tool, Exit: -1, Stderr: s.log.String(), Err: err}
}

// Close ends the server and removes its folder with all that is in it. It may be called again after an error.
func (s *Server) Close() error {
	var err error
	if s.Instance != nil {
		err = s.Instance.Close()
	}
	if s.own != nil {
		err = errors.Join(err, s.own.Close())
	}
	if s.cmd != nil {
		err = errors.Join(err, s.end())
	}
	return errors.Join(err, Remove(s.dir))
}

// end ends the server and all that it started, whatever that does to stay: in a cage, it is all in the server's process group.
// Until the server is waited for, no other process can have its number.
func (s *Server) end() error {
	server := s.cmd.Process
	_ = server.Signal(syscall.SIGQUIT)
	timer := time.AfterFunc(stopGrace, func() { _ = server.Kill() })
	awaitExit(server.Pid)
	timer.Stop()
	_ = syscall.Kill(-server.Pid, syscall.SIGKILL)
	err := endProcessesIn(s.dir)
	s.reader.Wait()
	_ = s.cmd.Wait() // killed or not, it has ended
	s.cmd = nil
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
