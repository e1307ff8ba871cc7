package cage

import "golang.org/x/sys/unix"

const architecture = unix.AUDIT_ARCH_AARCH64

// filtered are the calls of this architecture alone.
var filtered = []rule{
	{call: unix.SYS_SEMOP, answer: refuse}, {call: unix.SYS_SEMTIMEDOP, answer: refuse}, {call: unix.SYS_KEXEC_FILE_LOAD, answer: refuse},
}
