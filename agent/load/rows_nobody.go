package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// schemasOf are the schemas of the functions $1 that are open to all roles $2, quoted.
const schemasOf = `SELECT DISTINCT pg_catalog.quote_ident(n.nspname)
	FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = ANY ($1::pg_catalog.oid[])
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($2::pg_catalog.text[])
			AND NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE'))`

// openSchemas are the schemas of functions, quoted, that a login of nobody may find names in. Those that are closed to
// an author of the code are not among them: there may be functions in them that nothing else guards. What the server
// calls by itself needs no such right. A superuser's function that looks into tables may run the code of any owner.
func (l *rowLoader) openSchemas(ctx context.Context, s *loadSessions, code []reachedCode, functions []string) ([]string, error) {
	var authors []string
	for _, c := range code {
		authors = append(authors, c.owner)
	}
	if slices.ContainsFunc(authors, func(author string) bool { return l.owners.trusted[author] }) {
		authors = slices.Collect(maps.Keys(l.owners.trusted))
	}
	rows, err := s.catalog.query(ctx, schemasOf, oidArray(functions), textArray(authors))
	var schemas []string
	for _, row := range rows {
		schemas = append(schemas, row[0])
	}
	return schemas, err
}

// copyByNobody loads rows by a login that has no rights except to do that, then ends the login and takes all that it
// had.
//
// The table is moved to a schema that holds nothing else: in its own schema there may be functions and tables that
// nothing but the schema guards. What holds its place there is the superuser's, so that nobody puts anything else
// there. The table itself becomes the superuser's too, and nobody has a right on it except the login, to insert: its
// row security is off and its triggers are not there yet, while views and functions still find it by its oid. It is
// back where it belongs when this returns, also after an error, so that its rows may be tried again.
func (l *rowLoader) copyByNobody(ctx context.Context, s *loadSessions, load rowsLoad, rows io.Reader) (int64, error) {
	session, err := s.session(ctx, load.key)
	if err != nil {
		return 0, err
	}
	st := dump.Definition{SQL: load.copySQL}.Statement()
	schema, name := dump.SplitQualified(st.QualifiedName(1))
	if schema == "" {
		return 0, errNotDumped
	}
	cell := postgres.QuoteName(session.login)
	shut, open, err := l.shut(ctx, s, load.table, cell+"."+name, cell)
	if err != nil {
		return 0, err
	}
	grants := []string{"CREATE SCHEMA " + cell, "GRANT USAGE ON SCHEMA " + cell + " TO " + cell, "GRANT INSERT ON TABLE " + load.table.name + " TO " + cell}
	for _, opened := range load.schemas {
		grants = append(grants, "GRANT USAGE ON SCHEMA "+opened+" TO "+cell)
	}
	places, err := s.catalog.places(ctx, load.table)
	if err != nil {
		return 0, err
	}
	away := []string{"ALTER TABLE " + load.table.name + " SET SCHEMA " + cell}
	var back []string
	for _, place := range places {
		away = append(away, "CREATE TABLE "+place+" ()")
		back = append(back, "DROP TABLE "+place)
	}
	away = append(away, shut...)
	back = append(append(open, back...), "ALTER TABLE "+cell+"."+name+" SET SCHEMA "+schema)
	if err := l.logins.grant(ctx, s, append(grants, away...)...); err != nil {
		return 0, err
	}
	load.copySQL = inSchema(st, 1, schema, cell)
	copied, err := l.copyIn(ctx, s, session, load, rows)
	s.end(ctx, load.key)
	err = errors.Join(err, l.logins.grant(ctx, s, append(back, "DROP SCHEMA "+cell, "DROP OWNED BY "+cell)...))
	if err == nil && !l.guards.withheld[load.table.name] {
		err = l.guards.grantAgain(ctx, s, load.table.name)
	}
	if err != nil {
		return 0, err
	}
	return copied, checkRows(ctx, s, load.table, copied)
}

// shut returns statements that take a table, at its name for the time of the load, from its owner and from all who have
// a right on it, except the login; and statements that give it back to its owner.
func (l *rowLoader) shut(ctx context.Context, s *loadSessions, table tableInfo, name, login string) (shut, open []string, err error) {
	if table.owner != l.server.CurrentUser {
		owner := postgres.QuoteName(table.owner)
		shut = append(shut, "ALTER TABLE "+name+" OWNER TO CURRENT_USER")
		if !l.server.Superuser { // the new owner of a table needs the right to make one there
			open = append(open, "GRANT CREATE ON SCHEMA "+login+" TO "+owner)
		}
		open = append(open, "ALTER TABLE "+name+" OWNER TO "+owner)
	}
	grantees, err := s.catalog.oids(ctx, tableGrantees, table.oid)
	for _, grantee := range grantees {
		shut = append(shut, "REVOKE ALL ON TABLE "+name+" FROM "+grantee+" CASCADE")
	}
	if table.guarded {
		shut = append(shut, "ALTER TABLE "+name+" DISABLE ROW LEVEL SECURITY")
		open = append(open, "ALTER TABLE "+name+" ENABLE ROW LEVEL SECURITY")
	}
	return shut, open, err
}

// tableGrantees are the roles that have a right on the table $1 or on a column of it, but its owner.
const tableGrantees = `SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::pg_catalog.text END FROM pg_catalog.pg_class c
	CROSS JOIN LATERAL (SELECT c.relacl UNION ALL SELECT t.attacl FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid) AS l (acl)
	CROSS JOIN LATERAL pg_catalog.aclexplode(l.acl) AS a WHERE c.oid = $1::pg_catalog.oid AND a.grantee <> c.relowner
	AND a.grantee::pg_catalog.regrole <> CURRENT_USER::pg_catalog.regrole`

// checkRows counts the rows of a table that a login of nobody loaded: code that ran may have written others than those
// of the dump.
func checkRows(ctx context.Context, s *loadSessions, table tableInfo, want int64) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	if err := postgres.Run(ctx, admin.conn, "BEGIN"); err != nil {
		return err
	}
	// To plan the query is to run what stands on the table: nothing does yet, or it is refused.
	if err := admin.lockRows(ctx, table, nil); err != nil {
		return errors.Join(err, postgres.Run(ctx, admin.conn, "ROLLBACK"))
	}
	rows, err := postgres.Ask(ctx, admin.conn, "SELECT pg_catalog.count(*) FROM ONLY "+table.name)
	if err = errors.Join(err, postgres.Run(ctx, admin.conn, "COMMIT")); err != nil {
		return err
	}
	if rows[0][0] != strconv.FormatInt(want, 10) {
		return &dump.ContentError{Object: "table " + table.name, Why: fmt.Sprintf("it has %s rows after %d were loaded: something in the dump wrote others", rows[0][0], want)}
	}
	return nil
}
