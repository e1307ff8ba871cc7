package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/archive"
)

// Load runs a dump into a database, in one transaction: psql for FormatPlain, pg_restore for FormatCustom. Where src
// returns an error other than io.EOF, the tool is killed before it could see an end of its input, so that nothing is
// committed, and that error is returned. A failure of the tool is a *ToolError.
func (i *Instance) Load(ctx context.Context, database, format string, src io.Reader) error {
	server, err := i.Server(ctx)
	if err != nil {
		return err
	}
	settings := LoadSettings(server)
	name, args := "psql", []string{"--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose",
		"--single-transaction", "--output=/dev/null", "--file=-"}
	if format == FormatCustom {
		name, args = "pg_restore", restoreArgs(database, "--single-transaction")
		settings = restoreSettings(server)
	} else {
		settings = append(settings, scriptPath)
	}
	tool, err := i.findTool(ctx, name, server)
	if err != nil {
		return err
	}
	process := i.newProcess(ctx, tool, database, args...)
	process.cmd.Env = withOptions(process.cmd.Env, settings)
	return feed(process, src)
}

// scriptPath is for scripts that were written by hand, and don't say where their names are found as a dump does: the path that
// a server has by itself. psql looks for nothing along it.
const scriptPath = `search_path="$user",public`

// restoreArgs are the arguments of a pg_restore into a database.
func restoreArgs(database string, more ...string) []string {
	return append([]string{"--no-password", "--exit-on-error", "--dbname=dbname=" + quoteConninfo(database)}, more...)
}

// LoadSettings are the parameters of sessions that load a dump: it has event triggers of its own, which must not fire for
// what comes after them in the dump. In the role of a replica no trigger fires that is not marked ALWAYS or REPLICA, and the
// dump makes its others when its rows are loaded. Only a superuser may set it; nobody else can have made event triggers.
func LoadSettings(server Server) []string {
	switch {
	case !server.Superuser:
		return nil
	case server.Number >= 170000:
		return []string{"event_triggers=off"}
	default:
		return []string{"session_replication_role=replica"}
	}
}

// restoreSettings are loadSettings of pg_restore, which does not tell SQLSTATEs: what words stand for is known in English.
func restoreSettings(server Server) []string {
	if !server.Superuser {
		return nil // who may not choose the language either
	}
	return append(LoadSettings(server), "lc_messages=C")
}

// withOptions adds parameters of the session to a tool's environment.
func withOptions(environ, settings []string) []string {
	const variable = "PGOPTIONS="
	var options []string
	environ = slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		value, ok := strings.CutPrefix(entry, variable)
		if ok && value != "" {
			options = append(options, value)
		}
		return ok
	})
	for _, setting := range settings {
		options = append(options, "-c "+setting)
	}
	return append(environ, variable+strings.Join(options, " "))
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
func (i *Instance) Script(ctx context.Context, server Server, src io.Reader, sql io.Writer) error {
	return i.script(ctx, server, src, sql)
}

// ScriptDefinitions is Script for an archive's definitions alone.
func (i *Instance) ScriptDefinitions(ctx context.Context, server Server, index *archive.Index, sql io.Writer) error {
	return i.script(ctx, server, bytes.NewReader(index.Contents.Raw), sql, "--schema-only")
}

func (i *Instance) script(ctx context.Context, server Server, src io.Reader, sql io.Writer, how ...string) error {
	tool, err := i.findTool(ctx, "pg_restore", server)
	if err != nil {
		return err
	}
	process := i.newProcess(ctx, tool, "", append(how, "--file=-")...)
	process.cmd.Stdout = sql
	return feed(process, src)
}
