package postgres

import (
	"context"
	"io"
)

// Loader runs a dump into a database by the tools that read it. It is safe for concurrent use.
type Loader struct{ tools *Tools }

// NewLoader loads into what the connection of the tools leads to. It starts nothing yet.
func NewLoader(tools *Tools) *Loader { return &Loader{tools} }

// Load runs a dump into a database, in one transaction: psql for FormatPlain, pg_restore for FormatCustom. Where src
// returns an error other than io.EOF, the tool is killed before it could see an end of its input, so that nothing is
// committed, and that error is returned. A failure of the tool is a *ToolError.
func (l *Loader) Load(ctx context.Context, database, format string, src io.Reader) error {
	tool, server, err := l.tools.find(ctx, restoreProgram(format))
	if err != nil {
		return err
	}
	settings := LoadSettings(server)
	args := []string{"--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose",
		"--single-transaction", "--output=/dev/null", "--file=-"}
	if format == FormatCustom {
		args = restoreArgs(database, "--single-transaction")
		settings = restoreSettings(server)
	} else {
		settings = append(settings, scriptPath)
	}
	process := l.tools.newProcess(ctx, tool, database, args...)
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
