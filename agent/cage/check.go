package cage

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// abiScopes is the first version of Landlock that holds signals, of Linux 6.12.
const abiScopes = 6

// Support is what this host's kernel has for a cage.
type Support struct {
	// Landlock is the version of its interface, from 1 on.
	Landlock int
}

// Check reports what a cage can hold here; ErrNone, with the reason, if there can be none. What is
// asked for at least is a Landlock of any version, which Linux has since 5.13, and a seccomp
// filter.
func Check() (Support, error) {
	version, err := landlockVersion()
	if err != nil {
		return Support{}, fmt.Errorf("%w: the kernel has no Landlock, or it is turned off: %w", ErrNone, err)
	}
	if filtered == nil {
		return Support{}, fmt.Errorf("%w: there is no filter of system calls for %s", ErrNone, runtime.GOARCH)
	}
	action := uint32(unix.SECCOMP_RET_ERRNO)
	if err := seccomp(unix.SECCOMP_GET_ACTION_AVAIL, &action); err != nil {
		return Support{}, fmt.Errorf("%w: the kernel has no seccomp filter: %w", ErrNone, err)
	}
	if _, err := os.Stat(Program); err != nil {
		return Support{}, fmt.Errorf("%w: this program can't start itself once more: %w", ErrNone, err)
	}
	return Support{Landlock: version}, nil
}

// Gaps reports what a cage does not hold here, of a program of another user than this or of the
// same one, with shared memory of its own or not: one phrase each.
func (s Support) Gaps(otherUser, ownIPC bool) (gaps []string) {
	if !otherUser && s.Landlock < abiScopes {
		gaps = append(gaps, "signals to other processes of this user, which Linux 6.12 and newer hold")
	}
	if !ownIPC {
		gaps = append(gaps, "System V shared memory of the user that the server runs as, because no namespace can be had for it here")
	}
	return gaps
}
