package postgres

import (
	"maps"
	"path/filepath"
)

// Instance is a PostgreSQL server and the tools to work with it: all parts as one, with the methods of each. What needs one part
// takes that part. It is safe for concurrent use.
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
		Logins:        NewLogins(connection, tools),
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
	instance, err := Open(Settings{&resolved{values: values, environ: environ}}, filepath.Dir(i.dir))
	if err == nil {
		instance.answerLimit, instance.Hidden = answerLimit, i.Hidden
	}
	return instance, err
}
