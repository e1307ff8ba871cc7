package cage

import "golang.org/x/sys/unix"

// answer is what a filtered system call returns instead of being done.
type answer uint32

const (
	refuse  answer = unix.SECCOMP_RET_ERRNO | answer(unix.EPERM)
	unknown answer = unix.SECCOMP_RET_ERRNO | answer(unix.ENOSYS) // what is asked for so falls back on something older
	// pretend answers that it was done. A server ends if it can't change the mode of its own
	// socket, and Landlock does not tell that from the mode of anybody else's file.
	pretend answer = unix.SECCOMP_RET_ERRNO
)

// test is what an argument of a call must be, of which the kernel sees the lower 32 bits, for a rule to apply.
type test int

const (
	always      test = iota
	differs          // from the value
	equals           // the value
	has              // a bit of the value
	isOfAnother      // kind than the value and the second value, which is what the second byte of an ioctl's number says
	isPointer        // is not NULL, in all 64 bits
)

// rule filters a system call.
type rule struct {
	call   uint32
	answer answer
	test   test
	arg    uint32 // the number of the argument, from 0 on
	value  uint32
	second uint32 // of isOfAnother; may be the same
}

// newestCall is the last system call that was known when this was written, mseal, the same one on
// every architecture. What is newer is unknown to the cage, and so are those of another
// architecture's interface (x32), which have higher numbers.
const newestCall = unix.SYS_MSEAL

const (
	newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
		unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME
	typeIntoTerminal = 0x541C // TIOCLINUX
	ofTerminals      = 0x5400 // 'T', which has what all descriptors know too, such as FIONBIO
	ofSockets        = 0x8900
	kindOfIoctl      = 0xFF00
)

// never are the calls that no program in a cage has a use for, and that reach past its files: other
// processes, the kernel, the host, other names for the same file, and what shows others' files.
var never = []uint32{
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_MRELEASE,
	unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_KCMP, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
	unix.SYS_SETPRIORITY, unix.SYS_IOPRIO_SET, unix.SYS_SETPGID,
	unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN,
	unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_ACCT, unix.SYS_REBOOT, unix.SYS_SYSLOG,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_VHANGUP,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME,
	unix.SYS_PERSONALITY,
	// Landlock guards what is executed by its path alone: not what a file is in memory, which has none.
	unix.SYS_EXECVEAT, unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET,
	unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK, unix.SYS_INOTIFY_INIT1,
	unix.SYS_INOTIFY_ADD_WATCH,
	unix.SYS_SEMGET, unix.SYS_SEMCTL, unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV,
	unix.SYS_MSGCTL, unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
	// Landlock does not guard these: anyone who owns a file may do them by its path, and by a
	// descriptor that only reads it.
	unix.SYS_FCHOWNAT, unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR,
	unix.SYS_FCHOWN, unix.SYS_FSETXATTR, unix.SYS_FREMOVEXATTR,
}

// sometimes are the calls that are filtered by what they are asked for.
var sometimes = []rule{
	{call: unix.SYS_CLONE, answer: refuse, test: has, value: newNamespaces},
	{call: unix.SYS_CLONE3, answer: unknown}, // its flags are in memory, where a filter does not look
	{call: unix.SYS_FCHMODAT, answer: pretend}, {call: unix.SYS_FCHMODAT2, answer: pretend}, {call: unix.SYS_UTIMENSAT, answer: pretend},
	{call: unix.SYS_FCHMOD, answer: pretend},
	// A lease holds up anyone who writes to the file, and a notice watches a folder.
	{call: unix.SYS_FCNTL, answer: refuse, test: equals, arg: 1, value: unix.F_SETLEASE},
	{call: unix.SYS_FCNTL, answer: refuse, test: equals, arg: 1, value: unix.F_NOTIFY},
	// What is started stays in the process group of the first, so that to end the group is to end it all.
	{call: unix.SYS_SETSID, answer: pretend},
	{call: unix.SYS_IOCTL, answer: refuse, test: equals, arg: 1, value: unix.TIOCSTI},
	{call: unix.SYS_IOCTL, answer: refuse, test: equals, arg: 1, value: typeIntoTerminal},
	// Of other processes of the same user.
	{call: unix.SYS_PRLIMIT64, answer: refuse, test: differs, value: 0},
	{call: unix.SYS_SCHED_SETAFFINITY, answer: refuse, test: differs, value: 0},
	{call: unix.SYS_SCHED_SETSCHEDULER, answer: refuse, test: differs, value: 0},
	{call: unix.SYS_SCHED_SETPARAM, answer: refuse, test: differs, value: 0},
	{call: unix.SYS_SCHED_SETATTR, answer: refuse, test: differs, value: 0},
}

// noFileSystem keeps a program from what a file system has of its own for files that are open for
// reading: flags such as "immutable", encryption, a snapshot of a folder. There are many, so what
// there may be is named. A network needs those of sockets.
func noFileSystem(network bool) rule {
	r := rule{call: unix.SYS_IOCTL, answer: refuse, test: isOfAnother, arg: 1, value: ofTerminals, second: ofTerminals}
	if network {
		r.second = ofSockets
	}
	return r
}

// noNetwork leaves a program a socket to listen on and nobody to speak to first. The address of a
// message is in memory, where a filter does not look.
var noNetwork = []rule{
	{call: unix.SYS_SOCKET, answer: refuse, test: differs, value: unix.AF_UNIX},
	{call: unix.SYS_SOCKETPAIR, answer: refuse, test: differs, value: unix.AF_UNIX},
	{call: unix.SYS_CONNECT, answer: refuse},
	{call: unix.SYS_SENDTO, answer: refuse, test: isPointer, arg: 4},
	{call: unix.SYS_SENDMSG, answer: refuse}, {call: unix.SYS_SENDMMSG, answer: refuse},
	{call: unix.SYS_ADD_KEY, answer: refuse}, {call: unix.SYS_REQUEST_KEY, answer: refuse}, {call: unix.SYS_KEYCTL, answer: refuse},
}

// noSharedMemory is for all but servers.
var noSharedMemory = []rule{
	{call: unix.SYS_SHMGET, answer: refuse}, {call: unix.SYS_SHMAT, answer: refuse}, {call: unix.SYS_SHMCTL, answer: refuse},
}

// noTruncate stands in for a Landlock that does not guard the length of files. A server empties a
// file so before it removes it, and need not.
var noTruncate = rule{call: unix.SYS_TRUNCATE, answer: pretend}

// rules are all that apply.
func rules(s Spec, abi int) []rule {
	var all []rule
	for _, call := range never {
		all = append(all, rule{call: call, answer: refuse})
	}
	all = append(append(all, sometimes...), filtered...)
	all = append(all, noFileSystem(s.Network))
	if !s.Network {
		all = append(all, noNetwork...)
	}
	if !s.SharedMemory {
		all = append(all, noSharedMemory...)
	}
	if abi < abiTruncate {
		all = append(all, noTruncate)
	}
	return all
}
