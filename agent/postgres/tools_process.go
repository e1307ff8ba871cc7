package postgres

import (
	"context"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/pgharbor/pgharbor/internal/tail"
)

const (
	// stderrLimit is how much of the end of a tool's standard error is kept.
	stderrLimit = 16 << 10
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
func (t *Tools) newProcess(ctx context.Context, tool Tool, database string, args ...string) *process {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &process{tool: tool, ctx: ctx, cancel: cancel, stderr: &tail.Writer{Limit: stderrLimit}}
	p.held = func() error { return t.confine(p) }
	p.cmd = exec.CommandContext(ctx, tool.Path, args...)
	p.cmd.Dir = t.workDir()
	p.cmd.Env = t.environ
	if database != "" {
		p.cmd.Env = t.toolEnviron(database)
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
