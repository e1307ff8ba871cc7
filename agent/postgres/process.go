package postgres

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/internal/tail"
)

const (
	// stderrLimit is how much of the end of a tool's standard error is kept.
	stderrLimit = 16 << 10
	// pipeSize is asked for the pipes from and to tools: with Linux's 64 KiB both sides mostly wait for each other.
	pipeSize = 1 << 20
	// stderrGrace is how long a tool's standard error may stay open after its end, held by a child of its own.
	stderrGrace = 5 * time.Second
)

// process is one run of a tool, in a process group of its own, which is killed as a whole when its context ends, and by
// the kernel when the agent dies.
type process struct {
	tool   Tool
	held   func() error // confines it, once all of it is said
	cmd    *exec.Cmd
	ctx    context.Context
	cancel context.CancelCauseFunc
	stderr *tail.Writer
	waited error
	once   sync.Once
}

// newProcess prepares a tool. The caller may set its standard input and output, then starts it and waits for it.
func (i *Instance) newProcess(ctx context.Context, tool Tool, database string, args ...string) *process {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &process{tool: tool, ctx: ctx, cancel: cancel, stderr: &tail.Writer{Limit: stderrLimit}}
	p.held = func() error { return i.confine(p) }
	p.cmd = exec.CommandContext(ctx, tool.Path, args...)
	p.cmd.Dir = i.workDir()
	p.cmd.Env = i.environ
	if database != "" {
		p.cmd.Env = i.toolEnviron(database)
	}
	p.cmd.Stderr = p.stderr
	p.cmd.WaitDelay = stderrGrace
	// Pdeathsig is bound to the thread that starts the process; Go ends threads only with goroutines that locked them.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Cancel = func() error {
		// Signal tells a process that was waited for, whose number may be another's by now.
		if err := p.cmd.Process.Signal(syscall.Signal(0)); err != nil {
			return err
		}
		return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	return p
}

func (p *process) start() error {
	err := p.held()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.cancel(nil)
		return &ToolError{Tool: p.tool.Name, Exit: -1, Err: err}
	}
	return nil
}

// kill ends the process for a cause, which wait then reports.
func (p *process) kill(cause error) { p.cancel(cause) }

// wait returns nil only if the tool exited 0. It may be called again and returns the same.
func (p *process) wait() error {
	p.once.Do(func() {
		err := p.cmd.Wait()
		if err != nil {
			if cause := context.Cause(p.ctx); cause != nil {
				err = cause
			}
			p.waited = &ToolError{Tool: p.tool.Name, Exit: p.cmd.ProcessState.ExitCode(), Stderr: p.stderr.String(), Err: err}
		}
		p.cancel(nil)
	})
	return p.waited
}

// pipe returns a pipe that is as large as the system lets it be. Its ends block: the runtime's poller would wake up for each
// of the 4 KiB in which the tools write and read. What waits at one end is freed by the end of the tool at the other.
func pipe() (r, w *os.File, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	// It is faster with it and right without.
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, pipeSize)
	return os.NewFile(uintptr(ends[0]), "pipe"), os.NewFile(uintptr(ends[1]), "pipe"), nil
}
