package daemon

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Harden gives up what an agent has no use for, for this process and the tools that
// it starts, before anything secret is in memory:
//
//   - no program that it starts can gain rights (PR_SET_NO_NEW_PRIVS);
//   - neither a core nor /proc/PID/environ, mem and fd show its passphrases to
//     another process of the same user (PR_SET_DUMPABLE), and there are no cores of
//     the tools either (RLIMIT_CORE);
//   - files that it makes are its own alone, no matter who makes them (umask 077).
//
// A unit of systemd closes more; see deploy/systemd.
func Harden() error {
	unix.Umask(0o077)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("harden: no cores: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("harden: not dumpable: %w", err)
	}
	return noNewPrivileges()
}

// noNewPrivileges sets the flag on every thread: each has its own, and a tool gets
// that of the thread that starts it. A program with cgo, which no release of the
// agent is, can set it on the thread it runs on only, and on those made from it.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if errors.Is(errno, syscall.ENOTSUP) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("harden: no new privileges: %w", err)
		}
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("harden: no new privileges: %w", errno)
	}
	return nil
}
