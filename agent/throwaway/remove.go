package throwaway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxPidFile is more than a postmaster.pid has.
const maxPidFile = 4 << 10

// Remove removes a throwaway server whose owner is gone, as after a kill: it ends every process that works in its
// folder, and removes that. It is no error where there is none.
func Remove(dir string) error {
	if !filepath.IsAbs(dir) || !strings.HasPrefix(filepath.Base(dir), Prefix) {
		return fmt.Errorf("%q is no folder of a throwaway server", dir)
	}
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := endProcessesIn(dir); err != nil {
		return err
	}
	removeSegment(dir)
	return os.RemoveAll(dir)
}

// endProcessesIn kills all that has its working folder in dir, as every process of a server has. Some may be born meanwhile,
// so it looks until there are none.
func endProcessesIn(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		left := processesIn(real)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("processes %d in %s do not end", left, dir)
		}
	}
}

// processesIn lists the processes whose working folder is dir or below it, but for this one.
func processesIn(dir string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd") // the pattern is right, which is all that could be wrong
	for _, link := range links {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		cwd, err := os.Readlink(link) // of a zombie, and of others' processes, it can't be read
		if err == nil && (cwd == dir || strings.HasPrefix(cwd, dir+"/")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// removeSegment removes the few bytes of System V shared memory by which a server keeps a second one out, where it was
// killed and could not do so itself. The seventh line of postmaster.pid has its key and id (miscadmin.h, LOCK_FILE_LINE_*).
// The file is the server's own word, and so is what stands in its place.
func removeSegment(dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	defer root.Close()
	if _, err := root.Lstat(sharedFolder); err != nil {
		return // it went with the server's namespace, and what has its number here is somebody else's
	}
	file, err := root.OpenFile(dataFolder+"/postmaster.pid", os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	content, err := io.ReadAll(io.LimitReader(file, maxPidFile))
	lines := strings.Split(string(content), "\n")
	if err != nil || len(lines) < 7 {
		return
	}
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		return
	}
	id, err := strconv.Atoi(fields[1])
	if err != nil {
		return
	}
	var segment unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment); err != nil {
		return
	}
	// Nothing goes that somebody uses, or that somebody else made.
	if segment.Nattch == 0 && segment.Perm.Cuid == info.Sys().(*syscall.Stat_t).Uid { //nolint:forcetypeassert // it is Linux's
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	}
}
