package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/internal/tail"
)

// versionTimeout bounds `tool --version`, which does nothing that could take longer.
const versionTimeout = 10 * time.Second

// Tool is a program of PostgreSQL that was found.
type Tool struct {
	Name    string // "pg_dump"
	Path    string
	Version string // "15.18"; empty where the program does not say
	Number  int    // 150018, comparable with Server.Number; 0 where the program does not say
}

// Tools are PostgreSQL's programs on this host. They find them, and run each in a folder of its own, with an environment of
// its own and, where the host can, in a cage. They are safe for concurrent use.
type Tools struct {
	// Hidden are the files and folders that no tool may read, but for what the settings name; absolute. It is set before the
	// first use.
	Hidden []string

	connection *Connection // that the tools are to reach, and whose server says which of them will do
	dir        string      // private: the passfile and the like, and the tools' empty working folder
	environ    []string    // of every tool
}

// NewTools prepares to run tools; it looks for none yet. privateDir is a folder of this user alone, in which NewTools makes a
// folder of its own; Close removes it.
func NewTools(connection *Connection, privateDir string) (*Tools, error) {
	dir, err := os.MkdirTemp(privateDir, "postgres-")
	if err != nil {
		return nil, err
	}
	tools := &Tools{connection: connection, dir: dir}
	if err := tools.prepare(); err != nil {
		return nil, errors.Join(err, tools.Close())
	}
	return tools, nil
}

// Close removes the private files. No tool may run any more.
func (t *Tools) Close() error { return os.RemoveAll(t.dir) }

// ToolVersions finds pg_dump, pg_restore and psql, in this order. The error names a tool that is missing or older
// than the server.
func (t *Tools) ToolVersions(ctx context.Context) ([]Tool, error) {
	server, err := t.connection.Server(ctx)
	if err != nil {
		return nil, err
	}
	var tools []Tool
	for _, name := range []string{"pg_dump", "pg_restore", "psql"} {
		tool, err := t.findTool(ctx, name, server)
		if err != nil {
			return nil, err
		}
		tools = append(tools, tool)
	}
	return tools, nil
}

// find returns the tool of that name for the server as it is now, which it returns too.
func (t *Tools) find(ctx context.Context, name string) (Tool, Server, error) {
	server, err := t.connection.Server(ctx)
	if err != nil {
		return Tool{}, Server{}, err
	}
	tool, err := t.findTool(ctx, name, server)
	return tool, server, err
}

// findTool returns the first tool of that name that is not older than the server, PATH before installed packages. One
// whose version can't be read is taken as it is: what is wrong with it shows when it works.
func (t *Tools) findTool(ctx context.Context, name string, server Server) (Tool, error) {
	dirs, err := t.searchPath()
	if err != nil {
		return Tool{}, err
	}
	var older *Tool
	var wrapper string
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if !filepath.IsAbs(path) || !isProgram(path) {
			continue
		}
		if isWrapper(path) { // the tool itself is to be found too, and can be confined
			wrapper = path
			continue
		}
		tool, err := t.toolVersion(ctx, name, path)
		if err != nil {
			return Tool{}, err
		}
		if tool.Number == 0 || tool.Number/10000 >= server.Number/10000 {
			return tool, nil
		}
		if older == nil {
			older = &tool
		}
	}
	if older == nil && wrapper != "" {
		return t.toolVersion(ctx, name, wrapper)
	}
	major := server.Number / 10000
	if older != nil {
		return Tool{}, &OlderToolError{Tool: *older, Server: server}
	}
	return Tool{}, fmt.Errorf("%s is not on PATH: install postgresql-client-%d", name, major)
}

// OlderToolError says that the only tool of a name at hand is older than the server, which it may refuse or misread.
type OlderToolError struct {
	Tool   Tool
	Server Server
}

// Error implements error.
func (e *OlderToolError) Error() string {
	return fmt.Sprintf("%s %s is older than the server %s: install postgresql-client-%d",
		e.Tool.Name, e.Tool.Version, e.Server.Version, e.Server.Number/10000)
}

// versionOutput is what `pg_dump --version` prints: "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
var versionOutput = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?\S*`)

// toolVersion asks a tool for its version. Only the end of ctx is an error.
func (t *Tools) toolVersion(ctx context.Context, name, path string) (Tool, error) {
	limited, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	process := t.newProcess(limited, Tool{Name: name, Path: path}, "", "--version")
	output := &tail.Writer{Limit: 1 << 10}
	process.cmd.Stdout = output
	if err := process.start(); err != nil {
		return Tool{}, err
	}
	err := process.wait()
	if ctx.Err() != nil {
		return Tool{}, context.Cause(ctx)
	}
	tool := Tool{Name: name, Path: path}
	match := versionOutput.FindStringSubmatch(output.String())
	if err != nil || match == nil {
		return tool, nil
	}
	tool.Version = strings.TrimPrefix(match[0], "(PostgreSQL) ")
	major, errMajor := strconv.Atoi(match[1])
	minor, _ := strconv.Atoi(match[2])
	if errMajor == nil {
		tool.Number = major*10000 + minor
	}
	return tool, nil
}

// leadingNumber is the first number in a path such as /usr/lib/postgresql/15/bin; 0 where there is none.
func leadingNumber(path string) int {
	digits := strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	number, _ := strconv.Atoi(digits[0])
	return number
}

// RestoreTool finds the program that Load runs for a format.
func (t *Tools) RestoreTool(ctx context.Context, format string) (Tool, error) {
	tool, _, err := t.find(ctx, restoreProgram(format))
	return tool, err
}

// restoreProgram is the tool that loads a dump of a format.
func restoreProgram(format string) string {
	if format == FormatCustom {
		return "pg_restore"
	}
	return "psql"
}
