package cage

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// System V shared memory has no path that Landlock could guard and an id that a filter can't tell
// from another: anyone who is the same user may attach and remove any of it. So a program that
// needs some gets a namespace of its own for it, which is empty and goes when the last process in
// it does. Root makes one; another user needs a user namespace around it. In that, nothing is
// mapped: the program and what belongs to its user look as if they were the user's that stands for
// all unknown ones.

// Isolate gives what a program is started with the namespaces that its cage takes from its start
// on; it belongs to Arguments.
func (s Spec) Isolate(attributes *syscall.SysProcAttr) {
	switch {
	case !s.OwnIPC:
	case os.Geteuid() == 0:
		attributes.Cloneflags |= unix.CLONE_NEWIPC
	default:
		attributes.Cloneflags |= unix.CLONE_NEWUSER | unix.CLONE_NEWIPC
	}
}

// probe is told to a program that is a cage for as long as it takes to see that it can be one.
const probe = "probe"

// Probe are the arguments, argv[0] included, with which Program exits 0 if it could be started as
// Isolate has it, and the user that it looks like there has a name, without which some programs
// don't start.
func Probe() []string { return []string{name, probe, probe} }

func probed() {
	if _, err := user.LookupId(strconv.Itoa(os.Geteuid())); err != nil {
		os.Exit(Failed)
	}
	os.Exit(0)
}

// ipcNamespace names the one that this process is in.
func ipcNamespace() (string, error) { return os.Readlink("/proc/self/ns/ipc") }

// leftIPC sees that the namespace of who started this was left, if that was promised.
func (o order) leftIPC() error {
	if !o.OwnIPC {
		return nil
	}
	now, err := ipcNamespace()
	if err == nil && now == o.NotIPC {
		err = errors.New("it is in that of who started it")
	}
	if err != nil {
		return fmt.Errorf("a namespace for shared memory: %w", err)
	}
	return nil
}
