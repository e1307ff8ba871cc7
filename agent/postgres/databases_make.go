package postgres

import (
	"context"
	"errors"
	"fmt"
)

// CreateDatabase makes an empty database from template0. Encoding and locale are those of like where it has them, else
// template0's. Nobody may connect to it but superusers and its owner, who is whoever makes it, until OpenDatabase or the
// statements of its Properties: what is loaded into it is nobody's to change or to lock meanwhile. ErrDatabaseExists where the
// name is taken.
func (d *DatabaseAdmin) CreateDatabase(ctx context.Context, name string, like Database) error {
	if err := CheckName(name); err != nil {
		return err
	}
	server, err := d.connection.Server(ctx)
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
	if err := d.connection.Execute(ctx, sql+" ALLOW_CONNECTIONS false"); err != nil {
		return databaseError(err, name)
	}
	if err := d.connection.Execute(ctx, "REVOKE CONNECT, TEMPORARY ON DATABASE "+QuoteName(name)+" FROM PUBLIC"); err != nil {
		return err
	}
	return d.connection.Execute(ctx, "ALTER DATABASE "+QuoteName(name)+" ALLOW_CONNECTIONS true")
}

// OpenDatabase lets everybody connect to a database, as to any that was just made.
func (d *DatabaseAdmin) OpenDatabase(ctx context.Context, name string) error {
	return d.connection.Execute(ctx, openToAll(name))
}

func openToAll(database string) string {
	return "GRANT CONNECT, TEMPORARY ON DATABASE " + QuoteName(database) + " TO PUBLIC"
}

// DropDatabase drops a database and ends the sessions in it. It is no error where there is none.
func (d *DatabaseAdmin) DropDatabase(ctx context.Context, name string) error {
	server, err := d.connection.Server(ctx)
	if err != nil {
		return err
	}
	err = d.dropDatabase(ctx, server, name)
	if SQLState(err) != StateObjectInUse {
		return err
	}
	// PostgreSQL does not drop a database that has subscriptions or prepared transactions, and a restored one may have.
	_, preparedErr := d.rollBackPrepared(ctx, name)
	if restErr := errors.Join(preparedErr, d.dropSubscriptions(ctx, server, name)); restErr != nil {
		return errors.Join(err, restErr)
	}
	return d.dropDatabase(ctx, server, name)
}

func (d *DatabaseAdmin) dropDatabase(ctx context.Context, server Server, name string) error {
	if server.Number >= 130000 {
		return d.connection.Execute(ctx, "DROP DATABASE IF EXISTS "+QuoteName(name)+" WITH (FORCE)")
	}
	if err := d.endSessions(ctx, name); err != nil {
		return err
	}
	return d.connection.Execute(ctx, "DROP DATABASE IF EXISTS "+QuoteName(name))
}

// renameAttempts is how often the sessions in a database are ended that stand in the way of its new name.
const renameAttempts = 3

// RenameDatabase renames a database and ends the sessions in it that are in the way; ErrDatabaseExists where the new
// name is taken.
func (d *DatabaseAdmin) RenameDatabase(ctx context.Context, from, to string) error {
	if err := CheckName(to); err != nil {
		return err
	}
	var err error
	for range renameAttempts {
		ended := d.endSessions(ctx, from)
		err = d.connection.Execute(ctx, rename(from, to))
		if SQLState(err) != StateObjectInUse || ended != nil {
			break
		}
	}
	return databaseError(err, to)
}

func rename(from, to string) string {
	return "ALTER DATABASE " + QuoteName(from) + " RENAME TO " + QuoteName(to)
}

// endSessions ends the sessions in the database $1.
const endSessions = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = $1"

// endSessions ends all sessions in a database.
func (d *DatabaseAdmin) endSessions(ctx context.Context, name string) error {
	_, err := d.connection.Query(ctx, endSessions, name)
	return err
}

// databaseError gives the errors that callers act on their names.
func databaseError(err error, name string) error {
	switch SQLState(err) {
	case StateDuplicateDatabase:
		return fmt.Errorf("%w: %q", ErrDatabaseExists, name)
	case StateInvalidCatalogName:
		return fmt.Errorf("%w: %w", ErrNoDatabase, err)
	}
	return err
}
