package postgres

import (
	"context"
	"errors"
	"fmt"
)

// ErrMarkRefused reports that the server lets this role mark no database.
var ErrMarkRefused = errors.New("only a superuser can mark a database")

const (
	// settingsPrefix begins the names of settings that pgharbor gives databases.
	settingsPrefix = "pgharbor."
	// markSetting marks a database that was filled by a sandboxed role. It stays with the database when that is renamed or
	// given away; its owner can take it off.
	markSetting = settingsPrefix + "origin"
)

// Mark is what the server itself has of where a database's content comes from.
type Mark struct {
	Server string // its system identifier
	OID    string // the database's, which stays when it is renamed
	Origin string // as MarkDatabase was given it; empty where the database is not marked. Whoever owns the database may set it
	// Owner is a role of Sandbox that still owns something in the database, or the database itself; empty for none.
	Owner string
}

// $1 is the database, $2 what the setting begins with, $3 what the names of sandboxed roles begin with.
const markOf = `SELECT d.oid, (SELECT c.system_identifier FROM pg_catalog.pg_control_system() c),
	(SELECT pg_catalog.substr(u.pair, pg_catalog.length($2::pg_catalog.text) + 1)
		FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS u (pair)
		WHERE s.setdatabase = d.oid AND s.setrole = 0 AND pg_catalog.starts_with(u.pair, $2::pg_catalog.text) LIMIT 1),
	(SELECT r.rolname FROM pg_catalog.pg_shdepend o JOIN pg_catalog.pg_roles r ON r.oid = o.refobjid
		WHERE o.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND o.deptype = 'o' AND pg_catalog.starts_with(r.rolname::pg_catalog.text, $3::pg_catalog.text)
			AND (o.dbid = d.oid OR o.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND o.objid = d.oid)
		ORDER BY r.rolname LIMIT 1)
	FROM pg_catalog.pg_database d WHERE d.datname = $1`

// DatabaseMark returns the mark of a database; ErrNoDatabase where there is none of the name. sandboxed is what the names
// of confined roles begin with.
func (d *DatabaseAdmin) DatabaseMark(ctx context.Context, database, sandboxed string) (Mark, error) {
	rows, err := d.connection.Query(ctx, markOf, database, markSetting+"=", sandboxed)
	if err != nil {
		return Mark{}, err
	}
	if len(rows) == 0 {
		return Mark{}, fmt.Errorf("%w: %q", ErrNoDatabase, database)
	}
	return Mark{OID: rows[0][0], Server: rows[0][1], Origin: rows[0][2], Owner: rows[0][3]}, nil
}

// MarkDatabase marks a database. It takes a superuser: a role that is none may set no parameter that the server does not
// know, and ErrMarkRefused says so.
func (d *DatabaseAdmin) MarkDatabase(ctx context.Context, database, origin string) error {
	err := d.connection.Execute(ctx, "ALTER DATABASE "+QuoteName(database)+" SET "+markSetting+" TO"+QuoteLiteral(origin))
	if SQLState(err) == StateNoPrivilege {
		return fmt.Errorf("%w: %w", ErrMarkRefused, err)
	}
	return err
}

// UnmarkDatabase takes the mark off.
func (d *DatabaseAdmin) UnmarkDatabase(ctx context.Context, database string) error {
	return d.connection.Execute(ctx, "ALTER DATABASE "+QuoteName(database)+" RESET "+markSetting)
}
