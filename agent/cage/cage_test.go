package cage

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// attackVariable makes this test's program the one that is held: it tries what the variable names,
// and exits 0 if it could.
const attackVariable = "PGHARBOR_TEST_ATTACK"

const repelled = 42

// program is a copy of this test's, which any user can execute.
var program string

func TestMain(m *testing.M) {
	if attack := os.Getenv(attackVariable); attack != "" {
		if err := attacks[attack](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(repelled)
		}
		os.Exit(0)
	}
	os.Exit(withProgram(m.Run))
}

func withProgram(run func() int) int {
	dir, err := os.MkdirTemp("/tmp", "pgcage")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	content, err := os.ReadFile("/proc/self/exe")
	program = dir + "/cage.test"
	if err := errors.Join(err, os.Chmod(dir, 0o755), os.WriteFile(program, content, 0o755)); err != nil {
		panic(err)
	}
	return run()
}

// attacks get the paths and numbers of a target as arguments: see target.arguments.
var attacks = map[string]func([]string) error{
	"read a secret": func(args []string) error { _, err := os.ReadFile(args[0] + "/secret"); return err },
	"list a folder": func(args []string) error { _, err := os.ReadDir(args[0]); return err },
	"write a file":  func(args []string) error { return os.WriteFile(args[0]+"/mark", nil, 0o600) },
	"remove a file": func(args []string) error { return os.Remove(args[0] + "/victim") },
	"link a file":   func(args []string) error { return os.Link(args[0]+"/secret", args[1]+"/link") },
	"move a file":   func(args []string) error { return os.Rename(args[0]+"/victim", args[1]+"/moved") },
	"empty a file": func(args []string) error {
		return errors.Join(os.Truncate(args[0]+"/secret", 0), isSize(args[0]+"/secret", 0))
	},
	"open a file": func(args []string) error {
		return errors.Join(os.Chmod(args[0]+"/secret", 0o777), hasMode(args[0]+"/secret", 0o777))
	},
	"give a file away": func(args []string) error { return os.Chown(args[0]+"/secret", os.Getuid(), os.Getgid()) },
	"watch a folder": func(args []string) error {
		fd, err := unix.InotifyInit1(0)
		if err == nil {
			_, err = unix.InotifyAddWatch(fd, args[0], unix.IN_CREATE)
		}
		return err
	},
	"TCP":                dial("tcp", 2),
	"a Unix socket":      dial("unix", 3),
	"an abstract socket": dial("unix", 4),
	"listen for TCP":     func([]string) error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err },
	"UDP": func([]string) error {
		conn, err := net.Dial("udp", "127.0.0.1:9")
		if err == nil {
			_, err = conn.Write([]byte("x"))
		}
		return err
	},
	"a datagram to a Unix socket": func(args []string) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err == nil {
			err = unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: args[5]})
		}
		return err
	},
	"netlink":         func([]string) error { _, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0); return err },
	"signal another":  func(args []string) error { return unix.Kill(number(args[6]), 0) },
	"bound another":   func(args []string) error { return unix.Prlimit(number(args[6]), unix.RLIMIT_CPU, &unix.Rlimit{}, nil) },
	"slow another":    func(args []string) error { return unix.Setpriority(unix.PRIO_PROCESS, number(args[6]), 19) },
	"its environment": func(args []string) error { _, err := os.ReadFile("/proc/" + args[6] + "/environ"); return err },
	"its memory":      func(args []string) error { _, err := os.Open("/proc/" + args[6] + "/mem"); return err },
	"trace another":   func(args []string) error { return unix.PtraceSeize(number(args[6])) },
	"its descriptors": func(args []string) error {
		fd, err := unix.PidfdOpen(number(args[6]), 0)
		if err == nil {
			_, err = unix.PidfdGetfd(fd, 0, 0)
		}
		return err
	},
	"a user namespace": func(args []string) error {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env, cmd.SysProcAttr = []string{attackVariable + "=nothing"}, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
		return cmd.Run()
	},
	"a shell": func([]string) error { return exec.Command("/bin/sh", "-c", ":").Run() },
	"leave its group": func([]string) error {
		_, _ = unix.Setsid() // which may only look as if it was done
		if unix.Getpgrp() != os.Getpid() {
			return errors.New("it is in the same group")
		}
		return nil
	},
	"a ring": func([]string) error {
		if _, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0); errno == unix.EPERM {
			return errno
		}
		return nil // the address is bad, but the call is there
	},
}

// notHeld are no attacks, but what a program may do anyway.
var notHeld = map[string]bool{"nothing": true, "own folder": true, "read a neighbour": true}

func dial(network string, at int) func([]string) error {
	return func(args []string) error {
		conn, err := net.Dial(network, args[at])
		if err == nil {
			err = conn.Close()
		}
		return err
	}
}

func number(text string) int { n, _ := strconv.Atoi(text); return n }

func isSize(path string, size int64) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() != size {
		err = fmt.Errorf("it has %d bytes", info.Size())
	}
	return err
}

func hasMode(path string, mode os.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm() != mode {
		err = fmt.Errorf("its mode is %v", info.Mode())
	}
	return err
}

// target is what an attack is aimed at: a folder, listeners and a process that belong to somebody else.
type target struct {
	dir, own                           string
	tcp, unix, abstract, datagram, pid string
	memory, key                        string // of what is shared without files
}

func newTarget(t *testing.T) target {
	t.Helper()
	base, err := os.MkdirTemp("/tmp", "pgcage")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	tg := target{dir: base + "/state", own: base + "/own"}
	for _, dir := range []string{base, tg.dir, tg.own} {
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o777)); err != nil { // open, so that the cage is what holds
			t.Fatal(err)
		}
	}
	for _, file := range []string{"secret", "victim"} {
		if err := errors.Join(os.WriteFile(tg.dir+"/"+file, []byte("secret"), 0o600), os.Chmod(tg.dir+"/"+file, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	listen := func(network, address string) string {
		listener, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		return listener.Addr().String()
	}
	tg.tcp, tg.unix = listen("tcp", "127.0.0.1:0"), listen("unix", base+"/socket")
	tg.abstract = listen("unix", "@"+filepath.Base(base))
	tg.datagram = base + "/datagram"
	datagrams, err := net.ListenPacket("unixgram", tg.datagram)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { datagrams.Close() })
	for _, socket := range []string{tg.unix, tg.datagram} {
		if err := os.Chmod(socket, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	sleeper := exec.CommandContext(t.Context(), "sleep", "600")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() })
	tg.pid = strconv.Itoa(sleeper.Process.Pid)
	tg.memory, tg.key = shared(t)
	return tg
}

func (tg target) arguments() []string {
	return []string{tg.dir, tg.own, tg.tcp, tg.unix, tg.abstract, tg.datagram, tg.pid, tg.memory, tg.key}
}

// spec holds this test's program.
func (tg target) spec(t *testing.T) Spec {
	t.Helper()
	return Spec{
		Read: []string{"/usr", "/lib", "/lib64", "/etc/ld.so.cache"}, Write: []string{tg.own, "/dev/null"},
		Execute:     Executables(program),
		DeathSignal: syscall.SIGKILL,
	}
}

// try runs an attack, in a cage if there is one, and returns its exit status and what it said.
func try(t *testing.T, attack string, cage *Spec, args []string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	if cage != nil {
		cmd.Path = Program
		arguments, err := cage.Arguments(program, args...)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Args, cmd.SysProcAttr = arguments, &syscall.SysProcAttr{}
		cage.Isolate(cmd.SysProcAttr)
	}
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr, cmd.Env = "/", &stderr, []string{attackVariable + "=" + attack, "PATH=/usr/bin:/bin"}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(stderr.String())
}

// What is held reaches nothing that it was not given, by whichever user; without a cage, each of
// these attacks succeeds.
func TestACageHoldsAgainstEveryAttack(t *testing.T) {
	support, err := Check()
	if err != nil {
		t.Fatalf("there must be a cage where the tests run: %v", err)
	}
	for attack := range attacks {
		if notHeld[attack] {
			continue
		}
		t.Run(attack, func(t *testing.T) {
			if code, said := try(t, attack, nil, newTarget(t).arguments()); code != 0 {
				t.Errorf("it fails without a cage too, so it shows nothing: %d, %s", code, said)
			}
			for _, c := range []struct {
				name  string
				other bool
				abi   int
			}{{"the same user", false, 0}, {"another user", true, 0}, {"the first Landlock", false, 1}} {
				tg := newTarget(t)
				spec := tg.spec(t)
				spec.abi = c.abi
				if c.other {
					if os.Getuid() != 0 {
						continue
					}
					spec.User = &User{UID: 65534, GID: 65534}
				}
				older := Support{Landlock: max(c.abi, min(support.Landlock, abiScopes))}
				if c.abi > 0 {
					older.Landlock = c.abi
				}
				if attack == "signal another" && len(older.Gaps(c.other, true)) > 0 {
					continue // it is said, and not held
				}
				if code, said := try(t, attack, &spec, tg.arguments()); code != repelled {
					t.Errorf("%s: it ends with %d: %s", c.name, code, said)
				}
			}
		})
	}
}

// What a program is given, it has: its own folder, whole, and a socket there that others can reach.
func TestACageLeavesItsOwnFolder(t *testing.T) {
	tg := newTarget(t)
	for _, abi := range []int{0, 1, 3} {
		spec := tg.spec(t)
		spec.abi = abi
		if code, said := try(t, "own folder", &spec, []string{tg.own}); code != 0 {
			t.Errorf("Landlock %d: it ends with %d: %s", abi, code, said)
		}
	}
}

func init() {
	attacks["read a neighbour"] = func(args []string) error { _, err := os.ReadFile(args[0] + "/victim"); return err }
	attacks["nothing"] = func([]string) error { return nil }
	attacks["own folder"] = func(args []string) error {
		dir := args[0] + "/sub"
		listener, err := net.Listen("unix", args[0]+"/socket")
		if err != nil {
			return err
		}
		return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(dir+"/a", []byte("text"), 0o600), os.Symlink(dir+"/a", dir+"/b"),
			os.Rename(dir+"/a", dir+"/c"), os.Truncate(dir+"/c", 1), os.RemoveAll(dir), listener.Close())
	}
}

// A tool reads all but what is hidden from it, by whatever name, writes nowhere, and still reaches its server.
func TestACageThatHides(t *testing.T) {
	tg := newTarget(t)
	link := filepath.Join(tg.own, "link")
	if err := os.Symlink(tg.dir, link); err != nil {
		t.Fatal(err)
	}
	spec := Spec{ReadAll: true, Hide: []string{filepath.Join(link, "secret"), "/nowhere"}, Network: true, Execute: Executables(program)}
	for attack, want := range map[string]int{
		"read a secret": repelled, "list a folder": repelled, "write a file": repelled, "a shell": repelled, "trace another": repelled,
		"TCP": 0, "a Unix socket": 0, "UDP": 0, "read a neighbour": 0,
	} {
		if code, said := try(t, attack, &spec, tg.arguments()); code != want {
			t.Errorf("%s: it ends with %d: %s", attack, code, said)
		}
	}
}
