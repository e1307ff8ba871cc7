// Package postgres reaches one PostgreSQL instance: over a connection for what SQL can do, and through pg_dump,
// pg_restore and psql for the rest. It is the only package of the agent that starts processes.
//
// Names of databases are any bytes that PostgreSQL allows. Secrets reach the tools through private files, never
// through arguments or the environment.
package postgres

import (
	"errors"
	"maps"
	"path/filepath"
	"time"
)

// Formats of a dump, as pg_dump names them.
const (
	FormatPlain  = "plain"
	FormatCustom = "custom"
)

const (
	defaultStallTimeout = time.Hour
	defaultLockTimeout  = 10 * time.Minute
	// defaultConnectTimeout is for a server that takes a connection and then says nothing, as a stopped one does: psql
	// would wait for ever, and so would every run after it.
	defaultConnectTimeout = 30 * time.Second
)

var (
	// ErrDatabaseExists reports that a database can't get a name because another has it.
	ErrDatabaseExists = errors.New("the database exists already")
	// ErrNoDatabase reports that there is no database of that name.
	ErrNoDatabase = errors.New("no such database")
)

// Instance is a PostgreSQL server and the tools to work with it: its parts as one. It is safe for concurrent use.
type Instance struct {
	*Connection
	*Tools
	*DatabaseAdmin
	*Contents
	*RoleAdmin
	*Logins
	*Preflight
	*Dumper
	*Loader
}

// Open prepares to reach an instance; it connects to nothing. privateDir is a folder of this user alone, in which Open
// makes a folder of its own for the passfile; Close removes it.
func Open(settings Settings, privateDir string) (*Instance, error) {
	connection := NewConnection(settings)
	tools, err := NewTools(connection, privateDir)
	if err != nil {
		return nil, err
	}
	return &Instance{
		Connection:    connection,
		Tools:         tools,
		DatabaseAdmin: NewDatabaseAdmin(connection),
		Contents:      NewContents(connection),
		RoleAdmin:     NewRoleAdmin(connection),
		Logins:        NewLogins(connection, tools.dir),
		Preflight:     NewPreflight(connection),
		Dumper:        NewDumper(tools),
		Loader:        NewLoader(tools),
	}, nil
}

// Beside opens another instance with the same environment of its tools. values are how it is reached, by the keywords of libpq;
// a session takes no more than answerLimit bytes from it, for it is not to be trusted. The caller closes it.
func (i *Instance) Beside(values map[string]string, answerLimit int64) (*Instance, error) {
	environ := map[string]string{}
	if i.settings.resolved != nil {
		environ = maps.Clone(i.settings.environ)
	}
	instance, err := Open(Settings{&resolved{values: values, environ: environ}}, filepath.Dir(i.Tools.dir))
	if err == nil {
		instance.answerLimit = answerLimit
	}
	return instance, err
}
