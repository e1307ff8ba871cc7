package postgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"

	"github.com/pgharbor/pgharbor/agent/archive"
)

// restricted are the first minor releases of psql that know \restrict, by major (CVE-2025-8714).
var restricted = map[int]int{13: 22, 14: 19, 15: 14, 16: 10, 17: 6}

// Restrict returns a script for psql in which psql takes none of its own commands, such as \!, whatever follows: that is for
// psql itself to hold, which reads SQL as nobody else does. A psql that does not know how gets the script as it is.
func (l *Loader) Restrict(ctx context.Context, script io.Reader) (io.Reader, error) {
	psql, _, err := l.tools.find(ctx, "psql")
	if err != nil {
		return nil, err
	}
	first, listed := restricted[psql.Number/10000]
	if psql.Number < 180000 && (!listed || psql.Number%10000 < first) {
		return script, nil
	}
	return io.MultiReader(strings.NewReader(`\restrict `+rand.Text()+"\n"), script), nil
}

// emptySearchPath is how a dump begins its session, so that all names in it are found in the schema that it says.
const emptySearchPath = "SELECT pg_catalog.set_config('search_path', '', false);"

// SearchPathTo is emptySearchPath with the path that sessions of the database begin with.
func SearchPathTo(path string) string {
	return "SELECT pg_catalog.set_config('search_path'," + QuoteLiteral(path) + ", false);"
}

// WithSearchPath gives a plain dump another search path. head is how much of it is looked at.
func WithSearchPath(dump io.Reader, path string, head int) io.Reader {
	begin := make([]byte, head)
	n, err := io.ReadFull(dump, begin)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return failedReader{err}
	}
	changed := strings.Replace(string(begin[:n]), "\n"+emptySearchPath+"\n", "\n"+SearchPathTo(path)+"\n", 1)
	return io.MultiReader(strings.NewReader(changed), dump)
}

// failedReader fails.
type failedReader struct{ err error }

func (r failedReader) Read([]byte) (int, error) { return 0, r.err }

// Script turns a dump of FormatCustom into the SQL of a plain one, by a pg_restore that is not older than the server; it
// connects to nothing. A cut archive is a *ToolError; an error of src is returned as it is.
func (l *Loader) Script(ctx context.Context, server Server, src io.Reader, sql io.Writer) error {
	return l.script(ctx, server, src, sql)
}

// ScriptDefinitions is Script for an archive's definitions alone.
func (l *Loader) ScriptDefinitions(ctx context.Context, server Server, index *archive.Index, sql io.Writer) error {
	return l.script(ctx, server, bytes.NewReader(index.Contents.Raw), sql, "--schema-only")
}

func (l *Loader) script(ctx context.Context, server Server, src io.Reader, sql io.Writer, how ...string) error {
	tool, err := l.tools.findTool(ctx, "pg_restore", server)
	if err != nil {
		return err
	}
	process := l.tools.newProcess(ctx, tool, "", append(how, "--file=-")...)
	process.cmd.Stdout = sql
	return feed(process, src)
}
