package backup

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/scan"
)

// loadSandboxed loads a dump of which nobody knows who made it: as a role that has the new database and nothing else, which
// owns in the end all that is in it. What else is done with the database is done in that role's sessions too. Both formats
// go through psql, so that what is looked at is what is executed.
func (l *loader) loadSandboxed(ctx context.Context, db *built, from content, progress *reporter) error {
	checked, err := from.reader(progress)
	if err != nil {
		return err
	}
	sandboxed, err := l.instance.Sandbox(ctx, db.name, db.name)
	if err != nil {
		return err
	}
	db.sandbox, db.instance = sandboxed, sandboxed.Instance
	return loadAs(ctx, sandboxed.Instance, db.name, from.format, checked)
}

func loadAs(ctx context.Context, instance *postgres.Instance, database, format string, src io.Reader) error {
	return loadWithout(ctx, instance, database, format, src, foreignOwner, "")
}

// loadWithout loads a dump of any format by psql, without the lines between its statements that match; with a search path,
// where it is not "", in the place of none.
func loadWithout(ctx context.Context, instance *postgres.Instance, database, format string, src io.Reader, leaveOut *regexp.Regexp, searchPath string) error {
	if format != postgres.FormatCustom {
		return loadScript(ctx, instance, database, src, leaveOut, searchPath)
	}
	server, err := instance.Server(ctx)
	if err != nil {
		return err
	}
	reader, writer := io.Pipe()
	scripted := make(chan error, 1)
	go func() {
		err := instance.Script(ctx, server, src, writer)
		_ = writer.CloseWithError(err)
		scripted <- err
	}()
	err = loadScript(ctx, instance, database, reader, leaveOut, searchPath)
	_ = reader.CloseWithError(io.ErrClosedPipe)
	if scriptErr := <-scripted; err == nil {
		err = scriptErr
	}
	return err
}

func loadScript(ctx context.Context, instance *postgres.Instance, database string, src io.Reader, leaveOut *regexp.Regexp, searchPath string) error {
	if searchPath != "" {
		src = postgres.WithSearchPath(src, searchPath, headSize)
	}
	script, err := instance.Restrict(ctx, newWithoutLines(src, leaveOut))
	if err != nil {
		return err
	}
	return instance.Load(ctx, database, postgres.FormatPlain, script)
}

// foreignOwner are the statements that pg_dump writes, a line each, and that only a member of another role can execute. A
// sandboxed role owns what it makes, and so they are left out. To leave one out executes nothing, whatever is in it. So are
// pg_dump's own \restrict and \unrestrict: there is another around the whole.
var foreignOwner = regexp.MustCompile(`^(ALTER (.*) OWNER TO .*|ALTER DEFAULT PRIVILEGES FOR ROLE .*|SET SESSION AUTHORIZATION .*|` +
	`COMMENT ON EXTENSION .*);\r?\n$|^\\(un)?restrict [A-Za-z0-9]{1,256}\r?\n$`)

// unfilled are the statements that fill materialized views. They change nothing that was dumped.
var unfilled = regexp.MustCompile(`^REFRESH MATERIALIZED VIEW .*;\r?\n$|^\\(un)?restrict [A-Za-z0-9]{1,256}\r?\n$`)

// withoutLines reads a plain dump without the statements that match. A command of psql that pg_dump does not write is
// ErrForeign before psql could see its line.
type withoutLines struct {
	leaveOut *regexp.Regexp
	src      *bufio.Reader
	scanner  *scan.Scanner
	begins   bool // the next piece begins a line
	rest     []byte
	err      error
}

func newWithoutLines(src io.Reader, leaveOut *regexp.Regexp) *withoutLines {
	return &withoutLines{leaveOut: leaveOut, src: bufio.NewReaderSize(src, 256<<10), scanner: scan.NewScanner(), begins: true}
}

// Read implements io.Reader.
func (u *withoutLines) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		u.rest, u.err = u.next()
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// next returns a line, or a part of a long one; nothing of one that is left out.
func (u *withoutLines) next() ([]byte, error) {
	line, err := u.src.ReadSlice('\n')
	begins := u.begins
	u.begins = bytes.HasSuffix(line, []byte("\n"))
	if err == bufio.ErrBufferFull { //nolint:errorlint // ReadSlice returns it bare
		err = nil
	}
	if begins && u.scanner.BetweenStatements() && u.leaveOut.Match(line) {
		return nil, err
	}
	_, _ = u.scanner.Write(line) // it returns no error
	if u.scanner.Foreign() {
		return nil, fmt.Errorf("%w", ErrForeign)
	}
	return line, err
}
