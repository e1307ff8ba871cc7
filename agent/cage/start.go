package cage

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// init makes a program that becomes a cage one, and does not return then. It runs before main so
// that every program that links this package, those of its tests too, can be one; only the
// initialisation of packages has run by then.
func init() {
	if len(os.Args) < 3 || os.Args[0] != name {
		return
	}
	if os.Args[1] == probe {
		probed()
	}
	err := become(os.Args[1], os.Args[2:])
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	os.Exit(Failed)
}

// become confines the calling thread and then turns the process into the program. All of it is the
// thread's alone, and exec keeps what the thread has that calls it and ends the others.
func become(text string, argv []string) error {
	runtime.LockOSThread()
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("what it is to hold: %w", err)
	}
	abi, err := landlockVersion()
	if err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	if o.ABI > 0 {
		abi = min(abi, o.ABI)
	}
	if err := o.close(); err != nil {
		return err
	}
	ruleset, err := o.ruleset(abi)
	if err != nil {
		return err
	}
	filter := assemble(o.Spec, abi)
	for _, step := range []func() error{
		o.leftIPC, o.bound, o.changeUser, o.endWithParent, noNewPrivileges,
		func() error { return restrict(ruleset) },
		func() error { return install(filter) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w", argv[0], syscall.Exec(argv[0], argv, os.Environ()))
}

// close lets no descriptor get to the program that it was not given: exec closes them.
func (o order) close() error {
	if err := unix.CloseRange(uint(3+o.Files), ^uint(0)>>1&0xffffffff, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	return nil
}

// bound sets the limits of the program, and lets the kernel end it before anything else if memory
// runs out.
func (o order) bound() error {
	// Anybody may raise this of a process of their own. If /proc is not to be written to, it stays.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(1000)), 0)
	limits := map[int]uint64{unix.RLIMIT_CORE: 0}
	if o.Processes > 0 {
		limits[unix.RLIMIT_NPROC] = o.Processes
	}
	if o.Memory > 0 {
		limits[unix.RLIMIT_DATA] = o.Memory
	}
	for limit, value := range limits {
		var has unix.Rlimit
		if err := unix.Getrlimit(limit, &has); err != nil {
			return fmt.Errorf("getrlimit: %w", err)
		}
		value = min(value, has.Max)
		if err := unix.Setrlimit(limit, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("setrlimit: %w", err)
		}
	}
	return nil
}

// changeUser becomes another user, who is a member of no other group.
func (o order) changeUser() error {
	if o.User == nil {
		return nil
	}
	gid, uid := uintptr(o.User.GID), uintptr(o.User.UID)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return fmt.Errorf("setgroups: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return fmt.Errorf("setresgid: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return fmt.Errorf("setresuid: %w", errno)
	}
	return nil
}

// endWithParent asks the kernel for a signal when who started this dies. It forgets that with the
// change of the user, so this comes after; and a process that died before sends none.
func (o order) endWithParent() error {
	if o.DeathSignal == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(o.DeathSignal), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	if os.Getppid() != o.Parent {
		return fmt.Errorf("who started it is gone")
	}
	return nil
}

func noNewPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	return nil
}

// install gives a filter to the calling thread.
func install(filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := seccomp(unix.SECCOMP_SET_MODE_FILTER, &program); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}

func seccomp[T any](operation uintptr, argument *T) error {
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, operation, 0, uintptr(unsafe.Pointer(argument))); errno != 0 {
		return errno
	}
	return nil
}
