package postgres

import (
	"context"
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

// ToolVersions finds pg_dump, pg_restore and psql, in this order. The error names a tool that is missing or older
// than the server.
func (i *Instance) ToolVersions(ctx context.Context) ([]Tool, error) {
	server, err := i.Server(ctx)
	if err != nil {
		return nil, err
	}
	var tools []Tool
	for _, name := range []string{"pg_dump", "pg_restore", "psql"} {
		tool, err := i.findTool(ctx, name, server)
		if err != nil {
			return nil, err
		}
		tools = append(tools, tool)
	}
	return tools, nil
}

// findTool returns the first tool of that name that is not older than the server, PATH before installed packages. One
// whose version can't be read is taken as it is: what is wrong with it shows when it works.
func (i *Instance) findTool(ctx context.Context, name string, server Server) (Tool, error) {
	dirs, err := i.searchPath()
	if err != nil {
		return Tool{}, err
	}
	var older *Tool
	var wrapper string
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode()&0o111 == 0 || !filepath.IsAbs(path) {
			continue
		}
		if isWrapper(path) { // the tool itself is to be found too, and can be confined
			wrapper = path
			continue
		}
		tool, err := i.toolVersion(ctx, name, path)
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
		return i.toolVersion(ctx, name, wrapper)
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
func (i *Instance) toolVersion(ctx context.Context, name, path string) (Tool, error) {
	limited, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	process := i.newProcess(limited, Tool{Name: name, Path: path}, "", "--version")
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
