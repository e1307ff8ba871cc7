package postgres

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/pgharbor/pgharbor/agent/cage"
)

// inheritedEnviron is what tools get of the agent's environment.
func (i *Instance) inheritedEnviron() map[string]string {
	if i.settings.resolved == nil {
		return map[string]string{}
	}
	return maps.Clone(i.settings.environ)
}

// AddTablespace makes an empty tablespace within the server's folder, for everybody.
func (t *Throwaway) AddTablespace(ctx context.Context, name string) error {
	t.spaces++
	folder := filepath.Join(spaceFolder, strconv.Itoa(t.spaces))
	if err := t.makeFolder(folder); err != nil {
		return err
	}
	if err := t.execute(ctx, "CREATE TABLESPACE "+quoteName(name)+" LOCATION"+quoteLiteral(filepath.Join(t.dir, folder))); err != nil {
		return err
	}
	return t.execute(ctx, "GRANT CREATE ON TABLESPACE "+quoteName(name)+" TO PUBLIC")
}

// These are how a server says that something of the instance is not there, which no dump of one database brings along.
var (
	lackingRole       = regexp.MustCompile(`ERROR:  .*?role "(.+)" does not exist`)
	lackingTablespace = regexp.MustCompile(`ERROR:  (?:.*?tablespace "(.+)" does not exist|invalid value for parameter "default_tablespace": "(.+)")`)
)

// Lacks says of a load that failed which role or tablespace the server lacked; empty where it was something else.
func Lacks(err error) (role, tablespace string) {
	var tool *ToolError
	if !errors.As(err, &tool) {
		return "", ""
	}
	if match := lackingRole.FindStringSubmatch(tool.Stderr); match != nil {
		return match[1], ""
	}
	if match := lackingTablespace.FindStringSubmatch(tool.Stderr); match != nil {
		return "", match[1] + match[2]
	}
	return "", ""
}

// foreignUnreachable is how a throwaway server, which speaks English and connects nowhere, says that a foreign table or a
// connection of dblink's leads out of it.
var foreignUnreachable = regexp.MustCompile(`ERROR:  .*(could not connect to server ".+"|could not establish connection)`)

// ForeignUnreachable says whether a load failed because something in it reads another server. No dump can be blamed for it.
func ForeignUnreachable(err error) bool {
	var tool *ToolError
	return errors.As(err, &tool) && foreignUnreachable.MatchString(tool.Stderr)
}

// notTheDump are a tool's words for what keeps a good dump from being loaded into this very server: no room, no such
// extension, a server that ended.
var notTheDump = regexp.MustCompile(`No space left on device|could not extend file|could not write|[Oo]ut of (shared )?memory|` +
	`is not available|could not open extension control file|could not access file|could not load library|shared_preload_libraries|` +
	`must be loaded via|could not connect to server|could not establish connection|server closed the connection|connection to server|terminating connection|the database system is|` +
	`(role|tablespace) ".+" does not exist|parameter "default_tablespace"|permission denied|[Mm]ust be (superuser|owner|able|member)|invalid locale|not supported by this build`)

// BlamesServer says of a load that failed whether the server or its host, and not the dump, may be at fault. So does
// whatever is no failure of a tool.
func BlamesServer(err error) bool {
	var tool *ToolError
	return !errors.As(err, &tool) || tool.Exit <= 0 || tool.Exit == cage.Failed || notTheDump.MatchString(tool.Stderr)
}

// Tables lists the tables that a dump has rows of: no views, no parents of partitions, nothing of the system.
func (i *Instance) Tables(ctx context.Context, database string) ([]Table, error) {
	conn, err := i.connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	listed := conn.ExecParams(ctx, `SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
		ORDER BY 1, 2`, nil, nil, nil, nil).Read()
	tables := make([]Table, len(listed.Rows))
	for n, row := range listed.Rows {
		tables[n] = Table{Schema: string(row[0]), Name: string(row[1])}
	}
	return tables, listed.Err
}

// Roles lists the roles of the instance, but for PostgreSQL's own.
func (i *Instance) Roles(ctx context.Context) ([]string, error) {
	rows, err := i.query(ctx, `SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\_%' ORDER BY 1`)
	names := make([]string, len(rows))
	for n, row := range rows {
		names[n] = row[0]
	}
	return names, err
}
