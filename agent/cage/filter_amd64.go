package cage

import "golang.org/x/sys/unix"

const architecture = unix.AUDIT_ARCH_X86_64

// filtered are the calls of this architecture alone, most of them the older forms of others.
var filtered = []rule{
	{call: unix.SYS_CHMOD, answer: pretend}, {call: unix.SYS_UTIME, answer: pretend}, {call: unix.SYS_UTIMES, answer: pretend},
	{call: unix.SYS_FUTIMESAT, answer: pretend},
	{call: unix.SYS_CHOWN, answer: refuse}, {call: unix.SYS_LCHOWN, answer: refuse},
	{call: unix.SYS_SEMOP, answer: refuse}, {call: unix.SYS_SEMTIMEDOP, answer: refuse}, {call: unix.SYS_KEXEC_FILE_LOAD, answer: refuse},
	{call: unix.SYS_INOTIFY_INIT, answer: refuse},
	{call: unix.SYS_IOPL, answer: refuse}, {call: unix.SYS_IOPERM, answer: refuse}, {call: unix.SYS_MODIFY_LDT, answer: refuse},
}
