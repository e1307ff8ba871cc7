package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxName is how many bytes PostgreSQL keeps of a name; it cuts longer ones off without an error.
const MaxName = 63

// renameAttempts is how often the sessions in a database are ended that stand in the way of its new name.
const renameAttempts = 3

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

// Databases lists all databases that are no templates and take connections, by name.
func (i *Instance) Databases(ctx context.Context) ([]Database, error) {
	// A limit of -2 marks the rest of an interrupted DROP DATABASE.
	return i.databases(ctx, "NOT datistemplate AND datallowconn AND datconnlimit <> -2")
}

// Database describes one database; ErrNoDatabase where there is none.
func (i *Instance) Database(ctx context.Context, name string) (Database, error) {
	found, err := i.databases(ctx, "datname = $1", name)
	if err != nil {
		return Database{}, err
	}
	if len(found) == 0 {
		return Database{}, fmt.Errorf("%w: %q", ErrNoDatabase, name)
	}
	return found[0], nil
}

// DatabaseExists reports whether there is a database of this name, template or not.
func (i *Instance) DatabaseExists(ctx context.Context, name string) (bool, error) {
	rows, err := i.Query(ctx, "SELECT FROM pg_catalog.pg_database WHERE datname = $1", name)
	return len(rows) > 0, err
}

func (i *Instance) databases(ctx context.Context, condition string, args ...string) ([]Database, error) {
	server, err := i.Server(ctx)
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
	rows, err := i.Query(ctx, `SELECT datname, pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, `+provider+`, `+locale+`,
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

// CreateDatabase makes an empty database from template0. Encoding and locale are those of like where it has them, else
// template0's. Nobody may connect to it but superusers and its owner, who is whoever makes it, until OpenDatabase or the
// statements of its Properties: what is loaded into it is nobody's to change or to lock meanwhile. ErrDatabaseExists where the
// name is taken.
func (i *Instance) CreateDatabase(ctx context.Context, name string, like Database) error {
	if err := CheckName(name); err != nil {
		return err
	}
	server, err := i.Server(ctx)
	if err != nil {
		return err
	}
	sql := "CREATE DATABASE " + QuoteName(name) + " TEMPLATE template0"
	option := func(keyword, value string) {
		if value != "" {
			sql += " " + keyword + " " + QuoteLiteral(value)
		}
	}
	option("ENCODING", like.Encoding)
	option("LC_COLLATE", like.Collate)
	option("LC_CTYPE", like.CType)
	if server.Number >= 150000 {
		option("LOCALE_PROVIDER", like.LocaleProvider)
		switch like.LocaleProvider {
		case "icu":
			option("ICU_LOCALE", like.Locale)
		case "builtin":
			option("BUILTIN_LOCALE", like.Locale)
		}
	}
	if like.Tablespace != "" {
		sql += " TABLESPACE " + QuoteName(like.Tablespace)
	}
	// Who came in before PUBLIC lost the right would stay.
	if err := i.Execute(ctx, sql+" ALLOW_CONNECTIONS false"); err != nil {
		return databaseError(err, name)
	}
	if err := i.Execute(ctx, "REVOKE CONNECT, TEMPORARY ON DATABASE "+QuoteName(name)+" FROM PUBLIC"); err != nil {
		return err
	}
	return i.Execute(ctx, "ALTER DATABASE "+QuoteName(name)+" ALLOW_CONNECTIONS true")
}

// OpenDatabase lets everybody connect to a database, as to any that was just made.
func (i *Instance) OpenDatabase(ctx context.Context, name string) error {
	return i.Execute(ctx, openToAll(name))
}

func openToAll(database string) string {
	return "GRANT CONNECT, TEMPORARY ON DATABASE " + QuoteName(database) + " TO PUBLIC"
}

// DropDatabase drops a database and ends the sessions in it. It is no error where there is none.
func (i *Instance) DropDatabase(ctx context.Context, name string) error {
	server, err := i.Server(ctx)
	if err != nil {
		return err
	}
	err = i.dropDatabase(ctx, server, name)
	if SQLState(err) != stateObjectInUse {
		return err
	}
	// PostgreSQL does not drop a database that has subscriptions or prepared transactions, and a restored one may have.
	_, preparedErr := i.rollBackPrepared(ctx, name)
	if restErr := errors.Join(preparedErr, i.dropSubscriptions(ctx, server, name)); restErr != nil {
		return errors.Join(err, restErr)
	}
	return i.dropDatabase(ctx, server, name)
}

func (i *Instance) dropDatabase(ctx context.Context, server Server, name string) error {
	if server.Number >= 130000 {
		return i.Execute(ctx, "DROP DATABASE IF EXISTS "+QuoteName(name)+" WITH (FORCE)")
	}
	if err := i.endSessions(ctx, name); err != nil {
		return err
	}
	return i.Execute(ctx, "DROP DATABASE IF EXISTS "+QuoteName(name))
}

// RenameDatabase renames a database and ends the sessions in it that are in the way; ErrDatabaseExists where the new
// name is taken.
func (i *Instance) RenameDatabase(ctx context.Context, from, to string) error {
	if err := CheckName(to); err != nil {
		return err
	}
	var err error
	for range renameAttempts {
		ended := i.endSessions(ctx, from)
		err = i.Execute(ctx, rename(from, to))
		if SQLState(err) != stateObjectInUse || ended != nil {
			break
		}
	}
	return databaseError(err, to)
}

// endSessions ends the sessions in the database $1.
const endSessions = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = $1"

// endSessions ends all sessions in a database.
func (i *Instance) endSessions(ctx context.Context, name string) error {
	_, err := i.Query(ctx, endSessions, name)
	return err
}

// databaseError gives the errors that callers act on their names.
func databaseError(err error, name string) error {
	switch SQLState(err) {
	case stateDuplicateDatabase:
		return fmt.Errorf("%w: %q", ErrDatabaseExists, name)
	case stateInvalidCatalogName:
		return fmt.Errorf("%w: %w", ErrNoDatabase, err)
	}
	return err
}

// CheckName refuses names that would not be the database's name in the end.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the name of the database is empty")
	case len(name) > MaxName:
		return fmt.Errorf("the name of the database is longer than %d bytes: %q", MaxName, name)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("the name of the database holds a NUL byte: %q", name)
	}
	return nil
}

// QuoteName quotes an identifier.
func QuoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// QuoteLiteral quotes a string whatever standard_conforming_strings is.
func QuoteLiteral(text string) string {
	return " E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
