package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

var (
	// ErrDatabaseExists says that a database can't get a name because another has it.
	ErrDatabaseExists = errors.New("the database exists already")
	// ErrNoDatabase says that there is no database of that name.
	ErrNoDatabase = errors.New("no such database")
)

// Database is one database of the instance. The fields about its locale are empty where they don't apply.
type Database struct {
	Name           string
	Encoding       string // "UTF8"
	Collate        string
	CType          string
	LocaleProvider string // "libc", "icu" or "builtin"
	Locale         string // of the providers icu and builtin
	Tablespace     string // to make it in, where that is not the default one
	SizeBytes      int64  // 0 where it may not be asked for
}

// DatabaseAdmin looks after an instance's databases as such, and not after what is in them: it lists, makes, renames, exchanges,
// marks and drops them. It needs a connection alone, and is safe for concurrent use.
type DatabaseAdmin struct{ connection *Connection }

// NewDatabaseAdmin works over a connection; it does not connect yet.
func NewDatabaseAdmin(connection *Connection) *DatabaseAdmin { return &DatabaseAdmin{connection} }

// Databases lists all databases that are no templates and take connections, by name.
func (d *DatabaseAdmin) Databases(ctx context.Context) ([]Database, error) {
	// A limit of -2 marks the rest of an interrupted DROP DATABASE.
	return d.databases(ctx, "NOT datistemplate AND datallowconn AND datconnlimit <> -2")
}

// Database describes one database; ErrNoDatabase where there is none.
func (d *DatabaseAdmin) Database(ctx context.Context, name string) (Database, error) {
	found, err := d.databases(ctx, "datname = $1", name)
	if err != nil {
		return Database{}, err
	}
	if len(found) == 0 {
		return Database{}, fmt.Errorf("%w: %q", ErrNoDatabase, name)
	}
	return found[0], nil
}

// DatabaseExists reports whether there is a database of this name, template or not.
func (d *DatabaseAdmin) DatabaseExists(ctx context.Context, name string) (bool, error) {
	rows, err := d.connection.Query(ctx, "SELECT FROM pg_catalog.pg_database WHERE datname = $1", name)
	return len(rows) > 0, err
}

func (d *DatabaseAdmin) databases(ctx context.Context, condition string, args ...string) ([]Database, error) {
	server, err := d.connection.Server(ctx)
	if err != nil {
		return nil, err
	}
	provider, locale := "''", "''"
	switch {
	case server.Number >= 170000:
		provider, locale = "datlocprovider", "datlocale"
	case server.Number >= 150000:
		provider, locale = "datlocprovider", "daticulocale"
	}
	rows, err := d.connection.Query(ctx, `SELECT datname, pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, `+provider+`, `+locale+`,
		CASE WHEN pg_catalog.has_database_privilege(oid, 'CONNECT') THEN pg_catalog.pg_database_size(oid) END
		FROM pg_catalog.pg_database WHERE `+condition+` ORDER BY datname`, args...)
	if err != nil {
		return nil, err
	}
	databases := make([]Database, len(rows))
	for n, row := range rows {
		size, _ := strconv.ParseInt(row[6], 10, 64)
		providers := map[string]string{"c": "libc", "i": "icu", "b": "builtin"}
		databases[n] = Database{Name: row[0], Encoding: row[1], Collate: row[2], CType: row[3],
			LocaleProvider: providers[row[4]], Locale: row[5], SizeBytes: size}
	}
	return databases, nil
}

// Tablespace names the tablespace of a database where that is not the default one and new databases may be made in it by
// this role; else it is "".
func (d *DatabaseAdmin) Tablespace(ctx context.Context, database string) (string, error) {
	rows, err := d.connection.Query(ctx, `SELECT t.spcname FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
		WHERE d.datname = $1 AND t.oid <> (SELECT dattablespace FROM pg_catalog.pg_database WHERE datname = 'template0')
			AND pg_catalog.has_tablespace_privilege(t.oid, 'CREATE')`, database)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0][0], nil
}

// DatabaseNames returns the name of every database by its OID, which stays when it is renamed, and the server's system
// identifier, which tells whether they are of the server that is meant.
func (d *DatabaseAdmin) DatabaseNames(ctx context.Context) (names map[string]string, server string, err error) {
	rows, err := d.connection.Query(ctx, "SELECT oid, datname, (SELECT system_identifier FROM pg_catalog.pg_control_system()) FROM pg_catalog.pg_database")
	if err != nil {
		return nil, "", err
	}
	names = map[string]string{}
	for _, row := range rows {
		names[row[0]], server = row[1], row[2]
	}
	if server == "" {
		return nil, "", errors.New("the server does not say which it is")
	}
	return names, server, nil
}
