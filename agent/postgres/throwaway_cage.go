package postgres

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

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/cage"
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
	// leastMemory is what each process may have of its own whatever the host has.
	leastMemory = 1 << 30
	// maxAnswer bounds what a session takes from a throwaway server: the names of a million tables, and their counts.
	maxAnswer = 256 << 20
)

// throwawayUsers are whom a server of root's is run as: the first that exists. It is none that owns an instance's data, or
// that an instance lets in by name.
var throwawayUsers = []string{"pgharbor-cage", "nobody"}

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
	for _, name := range throwawayUsers {
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
	return nil, fmt.Errorf("PostgreSQL does not run as root, and none of the users %q exists", throwawayUsers)
}

func (t *Throwaway) data() string { return filepath.Join(t.dir, dataFolder) }
func (t *Throwaway) run() string  { return filepath.Join(t.dir, runFolder) }

// makeFolders makes the server's folder and those in it. Another user may pass through the first, and has the others.
func (t *Throwaway) makeFolders() error {
	mode := os.FileMode(0o700)
	if t.user != nil {
		mode = 0o711
	}
	if err := os.Mkdir(t.dir, 0o700); err != nil {
		return err
	}
	var err error
	if t.own, err = os.OpenRoot(t.dir); err != nil {
		return err
	}
	if err := errors.Join(t.own.Chmod(".", mode), t.own.Mkdir(spaceFolder, 0o700), t.own.Chmod(spaceFolder, mode)); err != nil {
		return err
	}
	if t.Cage == nil || !t.Cage.ownIPC {
		if err := t.own.Mkdir(sharedFolder, 0o700); err != nil {
			return err
		}
	}
	return errors.Join(t.makeFolder(dataFolder), t.makeFolder(runFolder), t.makeFolder(tmpFolder))
}

// makeFolder makes one that is the server's. It follows no link out of the server's own.
func (t *Throwaway) makeFolder(name string) error {
	if err := t.own.Mkdir(name, 0o700); err != nil || t.user == nil {
		return err
	}
	return t.own.Lchown(name, int(t.user.UID), int(t.user.GID))
}

// reachable is an error where the server's user, another one than this, could not get at its own folder.
func (t *Throwaway) reachable() error {
	if t.user == nil {
		return nil
	}
	for dir := filepath.Dir(t.dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		owned := info.Sys().(*syscall.Stat_t).Uid == t.user.UID //nolint:forcetypeassert // it is Linux's
		if info.Mode()&0o001 == 0 && !owned {
			return fmt.Errorf("%s is closed to the user that the throwaway server runs as, because PostgreSQL does not run as root: let BACKUP_VERIFY_DIR name another folder", dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// command is a program of the server, in a cage where there is one, with nothing of the agent's environment.
func (t *Throwaway) command(ctx context.Context, found binaries, program string, args ...string) (*exec.Cmd, error) {
	path := filepath.Join(found.dir, program)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = t.dir, t.log, stderrGrace
	cmd.Env = []string{"PATH=" + found.dir + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "TMPDIR=" + filepath.Join(t.dir, tmpFolder)}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A session of its own has no terminal. What its first process starts, ends with it: initdb at once, the server in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if program == "postgres" {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	}
	if t.Cage == nil {
		if t.user != nil {
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: t.user.UID, Gid: t.user.GID}
		}
		return cmd, nil
	}
	spec := t.spec(found, program, cmd.SysProcAttr.Pdeathsig)
	spec.Isolate(cmd.SysProcAttr)
	arguments, err := spec.Arguments(path, args...)
	cmd.Path, cmd.Args = cage.Program, arguments
	return cmd, err
}

// spec is what a program of the server may reach: its folders, and what the system has for every program. The server itself
// executes nothing; initdb starts it through a shell.
func (t *Throwaway) spec(found binaries, program string, death syscall.Signal) cage.Spec {
	spec := cage.Spec{
		Read:  append(serverFiles(found.dir), systemFiles...),
		Write: []string{t.data(), t.run(), filepath.Join(t.dir, tmpFolder), filepath.Join(t.dir, spaceFolder), os.DevNull},
		User:  t.user, SharedMemory: true, OwnIPC: t.Cage.ownIPC,
		Memory:      memoryLimit(),
		DeathSignal: death,
	}
	if t.user != nil {
		spec.Processes = maxProcesses
	}
	programs := []string{filepath.Join(found.dir, "postgres")}
	if program != "postgres" {
		programs = append(programs, filepath.Join(found.dir, program), "/bin/sh")
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
