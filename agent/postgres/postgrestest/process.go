package postgrestest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// attempts bounds how often a server is started again because another process
// took the loopback port that was free a moment ago.
const attempts = 5

// process is the postmaster. Whoever holds it must stop it.
type process struct {
	cmd    *exec.Cmd
	log    *bytes.Buffer
	reader sync.WaitGroup
}

func start(options ...Option) (*Server, error) {
	bin, err := findBin()
	if err != nil {
		return nil, err
	}
	// Not the test's own folder: the path of a socket has at most 107 bytes,
	// and the server's user must be able to reach it.
	dir, err := os.MkdirTemp(baseDir(), "pgt")
	if err != nil {
		return nil, err
	}
	server := &Server{SocketDir: dir, Port: 5432, Bin: bin, dir: dir}
	for _, option := range options {
		option(&server.settings)
	}
	if err := server.initialise(); err != nil {
		server.remove()
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		err = server.launch()
		if err == nil || server.settings.password == "" || attempt == attempts {
			break
		}
	}
	if err != nil {
		server.remove()
		return nil, err
	}
	return server, nil
}

// roomy is how much a file system in memory must have free for a server's folder: a few servers run at a time.
const roomy = 4 << 30

// baseDir is where the servers' folders are made: in memory, where there is room, for half the time of a small database is the making
// and removing of its files.
func baseDir() string {
	const memory = "/dev/shm"
	var stat syscall.Statfs_t
	if syscall.Statfs(memory, &stat) != nil || stat.Bavail*uint64(stat.Bsize) < roomy {
		return "/tmp"
	}
	probe, err := os.MkdirTemp(memory, "pgt")
	if err != nil || os.Remove(probe) != nil {
		return "/tmp"
	}
	return memory
}

// findBin returns the folder of the newest installed server, PATH first.
func findBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		found = append(found, matches...)
	}
	if len(found) == 0 {
		return "", errors.New("no initdb on PATH or in /usr/lib/postgresql: install PostgreSQL (Debian: apt-get install postgresql)")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// version is the first number in a path like /usr/lib/postgresql/15/bin/initdb.
func version(path string) int {
	digits := strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	number, _ := strconv.Atoi(digits[0])
	return number
}

func (s *Server) initialise() error {
	attr, err := attributes()
	if err != nil {
		return err
	}
	if attr.Credential != nil {
		if err := os.Chown(s.dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			return err
		}
	}
	args := []string{"-D", filepath.Join(s.dir, "data"), "-U", Superuser, "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256"}
	if s.settings.password != "" {
		file := filepath.Join(s.dir, "password")
		if err := os.WriteFile(file, []byte(s.settings.password+"\n"), 0o644); err != nil {
			return err
		}
		args = append(args, "--pwfile="+file)
	} else {
		args[len(args)-1] = "--auth-host=trust"
	}
	args = append(args, s.settings.initdb...)
	initdb := func() error {
		cmd := exec.Command(filepath.Join(s.Bin, "initdb"), args...)
		cmd.Dir, cmd.SysProcAttr, cmd.Env = s.dir, attr, environ()
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("initdb: %w\n%s", err, output)
		}
		return nil
	}
	if s.settings.password != "" || len(s.settings.initdb) > 0 {
		return initdb()
	}
	return makeCluster(filepath.Join(s.dir, "data"), s.Bin, attr.Credential, initdb)
}

// launch starts the postmaster and returns when it accepts connections.
func (s *Server) launch() error {
	listen := ""
	if s.settings.password != "" {
		listen = "127.0.0.1"
		port, err := freePort()
		if err != nil {
			return err
		}
		s.Port = port
	}
	attr, err := attributes()
	if err != nil {
		return err
	}
	args := []string{"-D", filepath.Join(s.dir, "data"), "-k", s.SocketDir, "-p", strconv.Itoa(s.Port),
		"-c", "listen_addresses=" + listen, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off",
		"-c", "shared_buffers=32MB", "-c", "max_wal_size=2GB", "-c", "autovacuum=off", "-c", "log_min_messages=warning"}
	program, args := filepath.Join(s.Bin, "postgres"), append(args, s.settings.config...)
	if s.settings.fileLimit > 0 { // which sh counts in blocks of 512 bytes
		script := fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, s.settings.fileLimit/512)
		program, args = "sh", append([]string{"-c", script, program}, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.SysProcAttr, cmd.Env = s.dir, attr, environ()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process = &process{cmd: cmd, log: new(bytes.Buffer)}
	if !s.process.ready(stderr) {
		s.process.stop(syscall.SIGQUIT)
		return fmt.Errorf("the server did not start:\n%s", s.process.log)
	}
	return nil
}

// ready reads the server's log until it says that connections are accepted,
// and leaves a goroutine behind that drains the rest until stop.
func (p *process) ready(stderr io.Reader) bool {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		p.log.WriteString(line)
		if err != nil {
			return false
		}
		if strings.Contains(line, "ready to accept connections") {
			break
		}
	}
	p.reader.Go(func() { _, _ = io.Copy(io.Discard, lines) })
	return true
}

// stop ends the server: with SIGINT in order, with SIGQUIT at once.
func (p *process) stop(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal)
	p.reader.Wait()
	_ = p.cmd.Wait()
}

// remove ends the server and throws its data away.
func (s *Server) remove() {
	if s.process != nil {
		s.process.stop(syscall.SIGQUIT)
		s.process = nil
	}
	_ = os.RemoveAll(s.dir)
}

// Stop ends the server and its connections; Restart brings it back with its data.
func (s *Server) Stop() {
	if s.process != nil {
		s.process.stop(syscall.SIGINT)
		s.process = nil
	}
}

// Restart starts a stopped server again, on a new port where it has one.
func (s *Server) Restart() error { return s.launch() }

// attributes let a server that a test runs as root run as somebody else, which
// PostgreSQL insists on, and end it when the test's process dies.
func attributes() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no other user: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, nil
}

// environ keeps the tester's own PG* variables away from the server.
func environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
