package throwaway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/cage"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// The folders of a throwaway server, in its own. That itself is not the server's, so it can't put anything in their places.
const (
	dataFolder  = "data"
	runFolder   = "run" // of its socket
	tmpFolder   = "tmp"
	spaceFolder = "spaces" // of tablespaces
	// sharedFolder is there where the server has its shared memory among that of everybody else.
	sharedFolder = "shared"
)

const (
	// maxProcesses bounds those of the server's user, where that is one of its own.
	maxProcesses = 1024
	// logLimit is how much of the end of its log is kept, in bytes.
	logLimit = 16 << 10
	// logGrace is how long a program's log may stay open after its end, held by a child of its own.
	logGrace = 5 * time.Second
	// leastMemory is what each process may have of its own whatever the host has.
	leastMemory = 1 << 30
	// maxAnswer bounds what a session takes from a throwaway server: the names of a million tables, and their counts.
	maxAnswer = 256 << 20
)

// users are whom a server of root's is run as: the first that exists. It is none that owns an instance's data, or
// that an instance lets in by name.
var users = []string{"pgharbor-cage", "nobody"}

// Cage is what holds a throwaway server.
type Cage struct {
	// Landlock is the version of the kernel's.
	Landlock int
	// Gaps are what this host leaves open, a phrase each.
	Gaps []string

	ownIPC bool // its shared memory is in a namespace of its own
}

// String is for people.
func (c *Cage) String() string {
	text := fmt.Sprintf("Landlock %d and a filter of system calls", c.Landlock)
	if os.Geteuid() == 0 {
		text += ", as another user"
	}
	if len(c.Gaps) > 0 {
		text += "; not held: " + strings.Join(c.Gaps, ", ")
	}
	return text
}

// ErrNoCage reports that nothing would hold a throwaway server here, and why.
var ErrNoCage = cage.ErrNone

// FindCage says what would hold a throwaway server here; ErrNoCage where nothing would.
func FindCage() (*Cage, error) {
	support, err := cage.Check()
	if err != nil {
		return nil, err
	}
	return &Cage{Landlock: support.Landlock, Gaps: support.Gaps(os.Geteuid() == 0, hasOwnIPC()), ownIPC: hasOwnIPC()}, nil
}

// hasOwnIPC reports whether a throwaway server can have shared memory in a namespace of its own.
var hasOwnIPC = sync.OnceValue(func() bool {
	cmd := exec.Command(cage.Program)
	cmd.Args, cmd.SysProcAttr = cage.Probe(), &syscall.SysProcAttr{}
	cage.Spec{OwnIPC: true}.Isolate(cmd.SysProcAttr)
	return cmd.Run() == nil
})

// unprivileged is whom a server runs as where this is root, which PostgreSQL refuses to run as; nil where it is not.
func unprivileged() (*cage.User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range users {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("the user %s: %w", account.Username, err)
		}
		return &cage.User{UID: uint32(uid), GID: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("PostgreSQL does not run as root, and none of the users %q exists", users)
}

func (s *Server) data() string { return filepath.Join(s.dir, dataFolder) }
func (s *Server) run() string  { return filepath.Join(s.dir, runFolder) }

// makeFolders makes the server's folder and those in it. Another user may pass through the first, and has the others.
func (s *Server) makeFolders() error {
	mode := os.FileMode(0o700)
	if s.user != nil {
		mode = 0o711
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	var err error
	if s.own, err = os.OpenRoot(s.dir); err != nil {
		return err
	}
	if err := errors.Join(s.own.Chmod(".", mode), s.own.Mkdir(spaceFolder, 0o700), s.own.Chmod(spaceFolder, mode)); err != nil {
		return err
	}
	if s.Cage == nil || !s.Cage.ownIPC {
		if err := s.own.Mkdir(sharedFolder, 0o700); err != nil {
			return err
		}
	}
	return errors.Join(s.makeFolder(dataFolder), s.makeFolder(runFolder), s.makeFolder(tmpFolder))
}

// makeFolder makes one that is the server's. It follows no link out of the server's own.
func (s *Server) makeFolder(name string) error {
	if err := s.own.Mkdir(name, 0o700); err != nil || s.user == nil {
		return err
	}
	return s.own.Lchown(name, int(s.user.UID), int(s.user.GID))
}

// reachable is an error where the server's user, another one than this, could not get at its own folder.
func (s *Server) reachable() error {
	if s.user == nil {
		return nil
	}
	for dir := filepath.Dir(s.dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		owned := info.Sys().(*syscall.Stat_t).Uid == s.user.UID //nolint:forcetypeassert // it is Linux's
		if info.Mode()&0o001 == 0 && !owned {
			return fmt.Errorf("%s is closed to the user that the throwaway server runs as, because PostgreSQL does not run as root: let BACKUP_VERIFY_DIR name another folder", dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// command is a program of the server, in a cage where there is one, with nothing of the agent's environment.
func (s *Server) command(ctx context.Context, found postgres.Binaries, program string, args ...string) (*exec.Cmd, error) {
	path := filepath.Join(found.Dir, program)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = s.dir, s.log, logGrace
	cmd.Env = []string{"PATH=" + found.Dir + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "TMPDIR=" + filepath.Join(s.dir, tmpFolder)}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A session of its own has no terminal. What its first process starts, ends with it: initdb at once, the server in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if program == "postgres" {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	}
	if s.Cage == nil {
		if s.user != nil {
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: s.user.UID, Gid: s.user.GID}
		}
		return cmd, nil
	}
	spec := s.spec(found, program, cmd.SysProcAttr.Pdeathsig)
	spec.Isolate(cmd.SysProcAttr)
	arguments, err := spec.Arguments(path, args...)
	cmd.Path, cmd.Args = cage.Program, arguments
	return cmd, err
}

// spec is what a program of the server may reach: its folders, and what the system has for every program. The server itself
// executes nothing; initdb starts it through a shell.
func (s *Server) spec(found postgres.Binaries, program string, death syscall.Signal) cage.Spec {
	spec := cage.Spec{
		Read:  append(serverFiles(found.Dir), systemFiles...),
		Write: []string{s.data(), s.run(), filepath.Join(s.dir, tmpFolder), filepath.Join(s.dir, spaceFolder), os.DevNull},
		User:  s.user, SharedMemory: true, OwnIPC: s.Cage.ownIPC,
		Memory:      memoryLimit(),
		DeathSignal: death,
	}
	if s.user != nil {
		spec.Processes = maxProcesses
	}
	programs := []string{filepath.Join(found.Dir, "postgres")}
	if program != "postgres" {
		programs = append(programs, filepath.Join(found.Dir, program), "/bin/sh")
	}
	for _, path := range programs {
		files := cage.Executables(path)
		if files == nil { // a script, which needs what it is written for
			files = append([]string{path}, systemFiles...)
		}
		spec.Execute = append(spec.Execute, files...)
	}
	return spec
}

// systemFiles are what a program needs that is the same for all: libraries, time zones, names of users, random numbers. None
// of it is a secret, and all of it is read by the name that it has everywhere.
var systemFiles = []string{
	"/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/dev/urandom", "/dev/random", "/dev/zero",
	"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime", "/etc/timezone",
	"/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies", "/etc/perl",
	"/var/cache/postgresql/dicts", // Debian's dictionaries for full text search
}

// serverFiles are those that were installed with a server: its libraries, its extensions and what they share.
func serverFiles(bin string) []string {
	files := []string{bin}
	real, err := filepath.EvalSymlinks(filepath.Join(bin, "postgres"))
	if err != nil {
		return files
	}
	for _, folder := range []string{"bin", "lib", "lib64", "share"} {
		files = append(files, filepath.Join(filepath.Dir(filepath.Dir(real)), folder))
	}
	return files
}

// memoryLimit is half of what the host has, for each process of a server that is kept small by its settings.
func memoryLimit() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return max(leastMemory, info.Totalram*uint64(info.Unit)/2)
}
