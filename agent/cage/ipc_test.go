package cage

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	attacks["attach shared memory"] = func(args []string) error {
		memory, err := unix.SysvShmAttach(number(args[7]), 0, 0)
		if err == nil {
			memory[0] = 'x'
		}
		return err
	}
	attacks["find shared memory"] = func(args []string) error {
		_, err := unix.SysvShmGet(number(args[8]), 0, 0)
		return err
	}
	attacks["remove shared memory"] = func(args []string) error {
		_, err := unix.SysvShmCtl(number(args[7]), unix.IPC_RMID, nil)
		return err
	}
	attacks["a semaphore"] = func(args []string) error {
		return call(unix.SYS_SEMGET, uintptr(number(args[8])), 1, 0)
	}
	attacks["a message queue"] = func(args []string) error {
		return call(unix.SYS_MSGGET, uintptr(number(args[8])), 0, 0)
	}
	// What a server needs: a segment of its own, found again by its key.
	attacks["own memory"] = func([]string) error {
		id, err := unix.SysvShmGet(4711, 4096, unix.IPC_CREAT|unix.IPC_EXCL|0o600)
		if err != nil {
			return err
		}
		memory, err := unix.SysvShmAttach(id, 0, 0)
		if err != nil {
			return err
		}
		copy(memory, "text")
		again, err := unix.SysvShmGet(4711, 0, 0)
		if err == nil && again != id {
			err = fmt.Errorf("the key leads to %d, not %d", again, id)
		}
		_, removed := unix.SysvShmCtl(id, unix.IPC_RMID, nil)
		return errors.Join(err, removed)
	}
	notHeld["own memory"] = true
}

func call(number, a, b, c uintptr) error {
	if _, _, errno := unix.Syscall(number, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// shared makes what programs share without files, open to everybody, and returns the id of the
// memory and the key of all.
func shared(t *testing.T) (id, key string) {
	t.Helper()
	number := os.Getpid()
	memory, err := 0, error(unix.EEXIST)
	for ; errors.Is(err, unix.EEXIST); number++ {
		memory, err = unix.SysvShmGet(number, 4096, unix.IPC_CREAT|unix.IPC_EXCL|0o666)
	}
	number--
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(memory, unix.IPC_RMID, nil) }) // unless an attack has
	for get, remove := range map[uintptr]uintptr{unix.SYS_SEMGET: unix.SYS_SEMCTL, unix.SYS_MSGGET: unix.SYS_MSGCTL} {
		args := [2]uintptr{1, unix.IPC_CREAT | 0o666}
		if get == unix.SYS_MSGGET {
			args = [2]uintptr{unix.IPC_CREAT | 0o666, 0}
		}
		made, _, errno := unix.Syscall(get, uintptr(number), args[0], args[1])
		if errno != 0 {
			t.Fatal(errno)
		}
		second := [2]uintptr{0, unix.IPC_RMID}
		if get == unix.SYS_MSGGET {
			second = [2]uintptr{unix.IPC_RMID, 0}
		}
		t.Cleanup(func() { _, _, _ = unix.Syscall(remove, made, second[0], second[1]) })
	}
	return strconv.Itoa(memory), strconv.Itoa(number)
}

// asAnother is the variable by which the test below is told that it is no longer root.
const asAnother = "PGHARBOR_TEST_AS_ANOTHER"

// A server has shared memory of its own and reaches none of its user's, no matter who the agent is:
// root with a server of another user, root as such, and an agent that is not root, whose server is
// the same user.
func TestACageHasSharedMemoryOfItsOwn(t *testing.T) {
	probe := exec.CommandContext(t.Context(), Program)
	probe.Args, probe.SysProcAttr = Probe(), &syscall.SysProcAttr{}
	Spec{OwnIPC: true}.Isolate(probe.SysProcAttr)
	if err := probe.Run(); err != nil {
		t.Fatalf("there must be namespaces where the tests run: %v", err)
	}
	users := map[string]*User{"the same user": nil}
	if os.Getuid() == 0 {
		users["another user"] = &User{UID: 65534, GID: 65534}
	}
	for who, user := range users {
		for _, attack := range []string{"attach shared memory", "find shared memory", "remove shared memory", "a semaphore", "a message queue"} {
			tg := newTarget(t)
			spec := tg.spec(t)
			spec.SharedMemory, spec.OwnIPC, spec.User = true, true, user
			if code, said := try(t, attack, &spec, tg.arguments()); code != repelled {
				t.Errorf("%s, %s: it ends with %d: %s", who, attack, code, said)
			}
			if code, said := try(t, attack, nil, newTarget(t).arguments()); code != 0 {
				t.Errorf("%s, %s: it fails without a cage too, so it shows nothing: %d, %s", who, attack, code, said)
			}
			if code, said := try(t, "own memory", &spec, tg.arguments()); code != 0 {
				t.Errorf("%s: its own memory: %d, %s", who, code, said)
			}
		}
	}
	if os.Getenv(asAnother) != "" || os.Getuid() != 0 {
		return
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestACageHasSharedMemoryOfItsOwn$", "-test.v")
	cmd.Dir, cmd.Env = "/tmp", append(os.Environ(), asAnother+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}} // of no name, and not the one that stands for unknown users
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as an agent that is not root: %v\n%s", err, said)
	}
}

// If there is no namespace, that is reported.
func TestAMissingNamespaceIsAGap(t *testing.T) {
	for own, want := range map[bool]int{true: 0, false: 1} {
		if gaps := (Support{Landlock: abiScopes}).Gaps(true, own); len(gaps) != want {
			t.Errorf("own: %v, and not held: %q", own, gaps)
		}
	}
}
