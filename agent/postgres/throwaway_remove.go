package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// RemoveThrowaway removes a throwaway server whose owner is gone, as after a kill: it ends every process that works in its
// folder, and removes that. It is no error where there is none.
func RemoveThrowaway(dir string) error {
	if !filepath.IsAbs(dir) || !strings.HasPrefix(filepath.Base(dir), ThrowawayPrefix) {
		return fmt.Errorf("%q is no folder of a throwaway server", dir)
	}
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := endProcessesIn(dir); err != nil {
		return err
	}
	removeSegment(filepath.Join(dir, "data", "postmaster.pid"))
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
func removeSegment(pidFile string) {
	content, err := os.ReadFile(pidFile)
	info, statErr := os.Lstat(pidFile)
	lines := strings.Split(string(content), "\n")
	if err != nil || statErr != nil || len(lines) < 7 {
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
	// The file is the server's own word: nothing goes that somebody uses, or that somebody else made.
	if segment.Nattch == 0 && segment.Perm.Cuid == info.Sys().(*syscall.Stat_t).Uid {
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	}
}

// unprivileged lets a server run as another user where this is root, which PostgreSQL refuses to run as; and it makes the
// kernel end it with this process.
func unprivileged() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, fmt.Errorf("the user %s: %w", account.Username, err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, nil
}

// own gives a folder to the server's user.
func (t *Throwaway) own(path string) error {
	if t.attr.Credential == nil {
		return nil
	}
	return os.Chown(path, int(t.attr.Credential.Uid), int(t.attr.Credential.Gid))
}

// reachable is an error where the server's user, another one than this, could not get at its own folder.
func (t *Throwaway) reachable() error {
	if t.attr.Credential == nil {
		return nil
	}
	for dir := filepath.Dir(t.dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		owned := info.Sys().(*syscall.Stat_t).Uid == t.attr.Credential.Uid //nolint:forcetypeassert // it is Linux's
		if info.Mode()&0o001 == 0 && !owned {
			return fmt.Errorf("%s is closed to the user that the throwaway server runs as, because PostgreSQL does not run as root: let BACKUP_VERIFY_DIR name another folder", dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}
