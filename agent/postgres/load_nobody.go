package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// closedSchemas are the schemas of the functions $1, with one of the roles $2 that finds no names there; "" is none.
const closedSchemas = `SELECT DISTINCT pg_catalog.quote_ident(n.nspname), n.nspname,
		(SELECT pg_catalog.min(r.rolname) FROM pg_catalog.pg_roles r WHERE r.rolname = ANY (pg_catalog.string_to_array($2, E'\x1f'))
			AND NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE'))
	FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = ANY ($1::pg_catalog.oid[])`

// openSchemas are the schemas of functions, quoted. It refuses to let code look into one that is closed to who wrote it: there may be
// functions that nothing else guards.
func openSchemas(ctx context.Context, s *loadSessions, table string, code []reachedCode, functions []string) ([]string, error) {
	var authors, schemas []string
	for _, c := range code {
		authors = append(authors, c.owner)
	}
	rows, err := s.query(ctx, closedSchemas, oidArray(functions), strings.Join(authors, "\x1f"))
	for _, row := range rows {
		if row[2] != "" {
			return nil, &ContentError{Object: "table " + table, Why: fmt.Sprintf("loading it runs code of %q, to whom the schema %q is closed", row[2], row[1])}
		}
		schemas = append(schemas, row[0])
	}
	return schemas, err
}

// copyByNobody loads rows by a login that has no rights but to do that, and ends it with all that it had.
//
// The table is in a schema that holds nothing else meanwhile: in its own there may be functions and tables that nothing but the schema
// guards. It is back where it belongs when this returns, also after an error, so that its rows may be tried again.
func (l *guardedLoader) copyByNobody(ctx context.Context, s *loadSessions, load rowsLoad, rows io.Reader) (int64, error) {
	session, err := s.session(ctx, load.key)
	if err != nil {
		return 0, err
	}
	st := definition{sql: load.copySQL}.statement()
	schema, name := splitQualified(st.qualifiedName(1))
	if schema == "" {
		return 0, errNotDumped
	}
	cell := quoteName(session.login)
	grants := []string{"CREATE SCHEMA " + cell, "GRANT USAGE ON SCHEMA " + cell + " TO " + cell, "GRANT INSERT ON TABLE " + load.table.name + " TO " + cell}
	for _, open := range load.schemas {
		grants = append(grants, "GRANT USAGE ON SCHEMA "+open+" TO "+cell)
	}
	if err := l.grant(ctx, s, append(grants, "ALTER TABLE "+load.table.name+" SET SCHEMA "+cell)...); err != nil {
		return 0, err
	}
	load.copySQL = inSchema(st, 1, schema, cell)
	copied, err := l.copyIn(ctx, s, session, load, rows)
	s.end(ctx, load.key)
	err = errors.Join(err, l.grant(ctx, s, "ALTER TABLE "+cell+"."+name+" SET SCHEMA "+schema, "DROP SCHEMA "+cell, "DROP OWNED BY "+cell))
	if err != nil {
		return 0, err
	}
	return copied, l.checkRows(ctx, s, load.table, copied)
}

// checkRows counts the rows of a table that nobody loaded: code that ran may have written others than those of the dump.
func (l *guardedLoader) checkRows(ctx context.Context, s *loadSessions, table tableInfo, want int64) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	if err := run(ctx, admin.conn, "BEGIN"); err != nil {
		return err
	}
	// To plan the query is to run what stands on the table: nothing does yet, or it is refused.
	if err := admin.lockRows(ctx, table, nil); err != nil {
		return errors.Join(err, run(ctx, admin.conn, "ROLLBACK"))
	}
	rows, err := ask(ctx, admin.conn, "SELECT pg_catalog.count(*) FROM ONLY "+table.name)
	if err = errors.Join(err, run(ctx, admin.conn, "COMMIT")); err != nil {
		return err
	}
	if rows[0][0] != strconv.FormatInt(want, 10) {
		return &ContentError{Object: "table " + table.name, Why: fmt.Sprintf("it has %s rows after %d were loaded: something in the dump wrote others", rows[0][0], want)}
	}
	return nil
}

// grant gives rights, one session at a time: the server fails where two change those on one object.
func (l *guardedLoader) grant(ctx context.Context, s *loadSessions, grants ...string) error {
	l.granting.Lock()
	defer l.granting.Unlock()
	for _, sql := range grants {
		if err := s.runSQL(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}
