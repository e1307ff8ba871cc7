package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAgentGivesUpWhatItHasNoUseFor(t *testing.T) {
	h := newHost(t)
	h.unprivileged()
	h.environ = append(h.environ, "PGHARBOR_STATE_DIR="+filepath.Join(h.dir, "state"))
	p := h.start("run")
	p.says("works alone")
	proc := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	threads, err := filepath.Glob(proc + "/task/*/status")
	if err != nil || len(threads) == 0 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	without := 0
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err == nil && !strings.Contains(string(status), "NoNewPrivs:\t1") { // one that has ended is none
			without++
		}
		if err == nil && !strings.Contains(string(status), "Umask:\t0077") {
			t.Errorf("%s: %s", thread, status)
		}
	}
	// With cgo, as the race detector needs it, it is set on a thread only.
	if everywhere := allThreads(); everywhere && without > 0 || without == len(threads) {
		t.Errorf("%d of %d threads can gain privileges", without, len(threads))
	}
	limits, err := os.ReadFile(proc + "/limits")
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") {
		t.Errorf("limits: %s, %v", limits, err)
	}
	// What belongs to root although the process does not is kept from its own user.
	info, err := os.Stat(proc + "/environ")
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("its environment belongs to the user %d, %v", info.Sys().(*syscall.Stat_t).Uid, err)
	}
}

func allThreads() bool {
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPPID, 0, 0, 0)
	return !errors.Is(errno, syscall.ENOTSUP)
}
