package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

// Formats of a dump, as pg_dump names them.
const (
	FormatPlain  = "plain"
	FormatCustom = "custom"
)

const defaultStallTimeout = time.Hour

var (
	errStalled   = errors.New("killed because it wrote nothing for too long")
	errClosed    = errors.New("killed because its output was no longer wanted")
	errSaidError = errors.New("exited 0 and yet reported an error")
)

// gather is how long a Read waits, after one that took all there was, for pg_dump to write more: it writes 4 KiB at a time,
// and to be woken for each was a quarter of the agent's work. The pipe has room for what comes in a millisecond.
const gather = time.Millisecond

// smallPipe is Linux's pipe where no larger one is granted: a Read that gets all of it does not wait, or it would be slow.
const smallPipe = 64 << 10

// Dumper runs what writes a database, or what belongs to all of them, as SQL or as an archive. It is safe for concurrent use.
type Dumper struct {
	// StallTimeout is how long a dump may go without a byte before its pg_dump is killed; 0 means an hour.
	StallTimeout time.Duration

	connection *Connection
	tools      *Tools
	databases  *DatabaseAdmin
}

// NewDumper dumps what the connection of the tools leads to. It starts nothing yet.
func NewDumper(tools *Tools) *Dumper {
	return &Dumper{connection: tools.connection, tools: tools, databases: NewDatabaseAdmin(tools.connection)}
}

// Dump is the output of a pg_dump. Read returns io.EOF only if pg_dump exited 0 without an error on its standard error;
// any other end is a *ToolError. It is for one goroutine.
type Dump struct {
	Server Server // that is dumped
	Tool   Tool   // that dumps it

	process *process
	output  *os.File
	stall   time.Duration
	timer   *time.Timer
	drained bool // whether the last Read took all there was
	end     error
}

// Dump starts pg_dump on a database. The caller reads it to its end and closes it; the end of ctx kills it.
func (d *Dumper) Dump(ctx context.Context, database, format string) (*Dump, error) {
	tool, server, err := d.tools.find(ctx, "pg_dump")
	if err != nil {
		return nil, err
	}
	about, err := d.databases.Database(ctx, database)
	if err != nil {
		return nil, err
	}
	lock := cmp.Or(d.connection.LockTimeout, defaultLockTimeout)
	// As it is stored, and not in an encoding that the database, the role or PGCLIENTENCODING asks for.
	args := []string{"--no-password", "--encoding=" + about.Encoding, fmt.Sprintf("--lock-wait-timeout=%d", lock.Milliseconds()), "--format=" + format}
	if format == FormatCustom {
		// Compression is the agent's, which does it once and faster.
		args = append(args, "--compress=0")
	}
	output, stdout, err := pipe()
	if err != nil {
		return nil, err
	}
	process := d.tools.newProcess(ctx, tool, database, args...)
	process.cmd.Stdout = stdout
	err = process.start()
	if err := errors.Join(err, stdout.Close()); err != nil {
		return nil, errors.Join(err, output.Close())
	}
	dump := &Dump{Server: server, Tool: tool, process: process, output: output, stall: cmp.Or(d.StallTimeout, defaultStallTimeout)}
	dump.timer = time.AfterFunc(dump.stall, func() { process.kill(errStalled) })
	return dump, nil
}

// Read implements io.Reader. The stall timeout runs only while it waits for pg_dump.
func (d *Dump) Read(p []byte) (int, error) {
	if d.end != nil {
		return 0, d.end
	}
	d.timer.Reset(d.stall)
	defer d.timer.Stop()
	if d.drained {
		select {
		case <-time.After(gather):
		case <-d.process.ctx.Done():
		}
	}
	n, err := d.output.Read(p)
	d.drained = n < min(len(p), smallPipe)
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		d.process.kill(err)
	}
	// A pipe ends when pg_dump dies as it does when pg_dump is done: only its exit tells.
	d.end = d.process.wait()
	if d.end == nil && d.saidError() {
		d.end = &ToolError{Tool: d.Tool.Name, Stderr: d.process.stderr.String(), Err: errSaidError}
	}
	if d.end == nil {
		d.end = io.EOF
	}
	return n, d.end
}

// saidError finds an error in the words of a pg_dump that exited 0.
func (d *Dump) saidError() bool {
	for line := range strings.Lines(d.process.stderr.String()) {
		if strings.HasPrefix(line, "pg_dump: error:") || strings.HasPrefix(line, "pg_dump: fatal:") {
			return true
		}
	}
	return false
}

// ownWarning are the lines in which pg_dump itself warns. It names objects and quotes no rows. Any other line is what the
// server sent, such as a function's RAISE WARNING.
var ownWarning = regexp.MustCompile(`^pg_dump: ((warning|detail|hint): .*)$`)

// Warnings are pg_dump's own, fit to leave the host; of what the server sent there is the number of lines, and Words has
// them. They are complete after Read returned io.EOF.
func (d *Dump) Warnings() []string {
	var warnings []string
	sent := 0
	for line := range strings.Lines(d.Words()) {
		line = strings.TrimSpace(line)
		if own := ownWarning.FindStringSubmatch(line); own != nil {
			warnings = append(warnings, own[1])
		} else if line != "" {
			sent++
		}
	}
	if sent > 0 {
		warnings = append(warnings, fmt.Sprintf("warning: the server had something to say to pg_dump, in %d lines that stay on the host", sent))
	}
	return warnings
}

// Words are all of pg_dump's standard error, for this host alone.
func (d *Dump) Words() string { return d.process.stderr.String() }

// Close kills pg_dump if it still runs, and waits for it. Its error is that of Read, not of Close.
func (d *Dump) Close() error {
	d.timer.Stop()
	d.process.kill(errClosed)
	_ = d.process.wait()
	return d.output.Close()
}
