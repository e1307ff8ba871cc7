package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// rowsLoad is how the rows of one table are loaded.
type rowsLoad struct {
	table tableInfo
	key   sessionKey
	path  string // SET search_path
	// schemas are those whose names the code of a load by nobody needs, quoted and parted by commas; "" is none.
	schemas string
}

// rowsLoad decides who loads the rows of a table: a login of its owner; one of nobody, where that runs what others wrote; the
// superuser, where the table is a superuser's and it runs what superusers wrote.
func (l *guardedLoader) rowsLoad(ctx context.Context, s *loadSessions, name string) (rowsLoad, error) {
	table, err := l.table(ctx, s, name)
	load := rowsLoad{table: table, path: emptyPath}
	if err != nil || !table.own {
		return load, err
	}
	if want := l.Definitions.tables[name]; want != nil && want.role != "" && want.role != table.owner {
		return load, &ContentError{Object: "table " + name, Why: fmt.Sprintf("it belongs to %q by now, and not to %q", table.owner, want.role)}
	}
	var runs mayRun
	if l.mixed && table.code {
		if runs, err = l.rowsRun(ctx, s, table.oid); err != nil {
			return load, err
		}
	}
	others := slices.ContainsFunc(runs.code, func(c reachedCode) bool { return c.owner != table.owner })
	switch {
	case others && table.guarded:
		return load, &ContentError{Object: "table " + name, Why: "it has row security, and loading it runs the " + runs.code[0].String()}
	case others:
		if err := l.maySee(ctx, s, name, runs); err != nil {
			return load, err
		}
		load.key.nobody, load.schemas = "table "+name, runs.schemas
	case !table.trusted:
		load.key.owner = table.owner
	case l.callable:
		return load, nil
	}
	if table.code {
		load.path = l.searchPath(load.key)
	}
	return load, nil
}

// closedSchemas are those of the schemas $1 in which the roles $2 find no names.
const closedSchemas = `SELECT n.nspname, r.rolname FROM pg_catalog.pg_namespace n CROSS JOIN pg_catalog.pg_roles r
	WHERE pg_catalog.quote_ident(n.nspname) = ANY (pg_catalog.string_to_array($1, ', '))
		AND r.rolname = ANY (pg_catalog.string_to_array($2, E'\x1f')) AND NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')`

// maySee refuses to let code look into a schema that is closed to who wrote it: there may be functions that nothing else guards.
func (l *guardedLoader) maySee(ctx context.Context, s *loadSessions, name string, runs mayRun) error {
	var authors []string
	for _, code := range runs.code {
		authors = append(authors, code.owner)
	}
	closed, err := s.query(ctx, closedSchemas, runs.schemas, strings.Join(authors, "\x1f"))
	if err == nil && len(closed) > 0 {
		err = &ContentError{Object: "table " + name, Why: fmt.Sprintf("loading it runs code of %q, to whom the schema %q is closed", closed[0][1], closed[0][0])}
	}
	return err
}

// sessionOf is the session for a load. Where no login is to be had, the superuser loads what runs nothing, with the table locked and
// looked at again.
func (l *guardedLoader) sessionOf(ctx context.Context, s *loadSessions, load *rowsLoad) (*loadSession, error) {
	session, err := s.session(ctx, load.key)
	if LacksLogin(err) && !load.table.code {
		load.key, load.path = sessionKey{}, emptyPath
		session, err = s.session(ctx, load.key)
	}
	return session, err
}

// copyRows loads the rows of one table, by the session that may.
func (l *guardedLoader) copyRows(ctx context.Context, s *loadSessions, name, copySQL string, rows io.Reader) error {
	load, err := l.rowsLoad(ctx, s, name)
	if err != nil {
		return err
	}
	copied, err := l.copyBy(ctx, s, load, copySQL, rows)
	if err != nil {
		s.giveUp(ctx, load.key)
		if content := (*ContentError)(nil); errors.As(err, &content) {
			return err
		}
		return fmt.Errorf("table %s: %w", name, err)
	}
	l.count(tableOf(name), copied)
	return nil
}

// giveUp ends a transaction that failed.
func (s *loadSessions) giveUp(ctx context.Context, key sessionKey) {
	if session := s.open[key]; session != nil && run(ctx, session.conn, "ROLLBACK") != nil {
		s.end(ctx, key)
	}
}

// copyBy loads rows into a table in a transaction of its own, and returns how many.
func (l *guardedLoader) copyBy(ctx context.Context, s *loadSessions, load rowsLoad, copySQL string, rows io.Reader) (int64, error) {
	session, err := l.sessionOf(ctx, s, &load)
	if err != nil {
		return 0, err
	}
	if err := l.grantRows(ctx, s, session, load); err != nil {
		return 0, err
	}
	if load.key.nobody != "" {
		if copySQL, err = l.apart(ctx, s, session, load.table, copySQL); err != nil {
			return 0, err
		}
	}
	if err := session.look(ctx, load.path); err != nil {
		return 0, err
	}
	if copySQL, err = session.beginRows(ctx, load, copySQL); err != nil {
		return 0, l.rowsError(load, err)
	}
	if session.login == "" {
		if err := l.unchanged(ctx, s, load.table); err != nil {
			return 0, err
		}
	}
	source := &countedReader{src: rows, read: func(int) {}}
	tag, err := session.conn.CopyFrom(ctx, source, copySQL)
	if err != nil || source.failed != nil {
		return 0, cmp.Or(source.failed, l.rowsError(load, err))
	}
	if _, err := session.conn.Exec(ctx, "COMMIT").ReadAll(); err != nil {
		return 0, err
	}
	if load.key.nobody != "" {
		if err := l.back(ctx, s, session, load.table); err != nil {
			return 0, err
		}
		return tag.RowsAffected(), l.checkRows(ctx, s, session, load.table, tag.RowsAffected())
	}
	return tag.RowsAffected(), nil
}

// apart moves a table to a schema that holds nothing else, for the time in which nobody loads it: in its own there may be functions
// and tables that nothing but the schema guards. It returns the COPY with that name.
func (l *guardedLoader) apart(ctx context.Context, s *loadSessions, session *loadSession, table tableInfo, copySQL string) (string, error) {
	cell, schema := quoteName(session.login), ""
	st := definition{sql: copySQL}.statement()
	if schema, _ = splitQualified(st.qualifiedName(1)); schema == "" {
		return "", errNotDumped
	}
	for _, sql := range []string{"CREATE SCHEMA " + cell, "GRANT USAGE ON SCHEMA " + cell + " TO " + cell, "ALTER TABLE " + table.name + " SET SCHEMA " + cell} {
		if err := s.runSQL(ctx, sql); err != nil {
			return "", err
		}
	}
	return inSchema(st, 1, schema, cell), nil
}

// back moves it back.
func (l *guardedLoader) back(ctx context.Context, s *loadSessions, session *loadSession, table tableInfo) error {
	schema, name := splitQualified(table.name)
	cell := quoteName(session.login)
	for _, sql := range []string{"ALTER TABLE " + cell + "." + name + " SET SCHEMA " + schema, "DROP SCHEMA " + cell} {
		if err := s.runSQL(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// grantRows lets a login load a table where its owner may not, or where it is nobody's.
func (l *guardedLoader) grantRows(ctx context.Context, s *loadSessions, session *loadSession, load rowsLoad) error {
	if session.login == "" || load.key.owner != "" && load.table.loads {
		return nil
	}
	grants := []string{"GRANT INSERT, TRUNCATE ON TABLE " + load.table.name + " TO " + quoteName(session.login)}
	if load.key.nobody != "" {
		grants = nil
		if load.schemas != "" {
			grants = append(grants, "GRANT USAGE ON SCHEMA "+load.schemas+" TO "+quoteName(session.login))
		}
		grants = append(grants, "GRANT INSERT ON TABLE "+load.table.name+" TO "+quoteName(session.login))
	}
	return l.grant(ctx, s, grants...)
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

// checkRows takes the right to a table from a login of nobody, whose code may have written more rows than those of the dump.
func (l *guardedLoader) checkRows(ctx context.Context, s *loadSessions, session *loadSession, table tableInfo, want int64) error {
	if err := l.grant(ctx, s, "REVOKE INSERT ON TABLE "+table.name+" FROM "+quoteName(session.login)); err != nil {
		return err
	}
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	// To plan the query is to run what stands on the table: nothing does yet, or it is refused.
	if err := run(ctx, admin.conn, "BEGIN"); err != nil {
		return err
	}
	if err := admin.lockRows(ctx, rowsLoad{table: table}, ""); err != nil {
		return errors.Join(err, run(ctx, admin.conn, "ROLLBACK"))
	}
	rows, err := ask(ctx, admin.conn, "SELECT pg_catalog.count(*) FROM ONLY "+table.name)
	if err = errors.Join(err, run(ctx, admin.conn, "COMMIT")); err != nil {
		return err
	}
	if err := l.forget(ctx, s, sessionKey{nobody: "table " + table.name}); err != nil {
		return err
	}
	if rows[0][0] != strconv.FormatInt(want, 10) {
		return &ContentError{Object: "table " + table.name, Why: fmt.Sprintf("it has %s rows after %d were loaded: something in the dump wrote others", rows[0][0], want)}
	}
	return nil
}

// forget ends a login of nobody, with all that it has.
func (l *guardedLoader) forget(ctx context.Context, s *loadSessions, key sessionKey) error {
	login := s.open[key].user()
	s.end(ctx, key)
	return l.grant(ctx, s, "DROP OWNED BY "+quoteName(login))
}

// rowsError says why rows could not be loaded.
func (l *guardedLoader) rowsError(load rowsLoad, err error) error {
	switch {
	case load.key.owner != "":
		return contentError("table "+load.table.name, load.table.owner, err)
	case load.key.nobody != "" && sqlState(err) == stateNoPrivilege:
		return &ContentError{Object: "table " + load.table.name, Why: "loading it runs code of several roles, and a login without rights can't load it", Err: err}
	case load.table.code && l.callable && NameNotFound(err):
		return &ContentError{Object: "table " + load.table.name, Why: "its code finds names by the search path, which others have a part in", Err: err}
	}
	return err
}

// armed says whether the table $1 has anything that runs when a row is loaded, other than what its definitions gave it before
// any code ran: a trigger, a rule, a check, a column that the dump has no values for.
const armed = `SELECT (EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid)
		OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid)
		OR EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid)
		OR EXISTS (SELECT FROM pg_catalog.pg_statistic_ext e WHERE e.stxrelid = c.oid)
		OR NOT $2::pg_catalog.bool AND (EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
			OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
				AND NOT a.attname = ANY (pg_catalog.string_to_array($3, E'\x1f')))))::pg_catalog.text
	FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.oid`

// copyColumns are the names of the columns of a COPY.
func copyColumns(sql string) []string {
	var columns []string
	depth := 0
	for _, w := range readWords(sql, 0) {
		change := parenthesis(w)
		if depth += change; depth == 1 && change == 0 && (w.quoted || w.text != ",") {
			columns = append(columns, strings.ReplaceAll(w.text, `""`, `"`))
		}
	}
	return columns
}

// beginRows begins the transaction that loads a table. Into one that is new, in the same transaction as nothing else, rows are
// written as what everybody sees, so that nobody has to write its pages again for that. The table is locked first and looked at
// again: code that has run before may have put something on it, also by way of a table that it is a part of.
func (s *loadSession) beginRows(ctx context.Context, load rowsLoad, copySQL string) (string, error) {
	if err := run(ctx, s.conn, "BEGIN"); err != nil || !load.table.own || load.key.nobody != "" {
		return copySQL, err
	}
	if err := s.lockRows(ctx, load, copySQL); err != nil {
		return "", err
	}
	return copySQL + " WITH (FREEZE)", run(ctx, s.conn, "TRUNCATE ONLY "+load.table.name)
}

// unchanged looks again, behind the lock, whether the rows of a table run nobody's code.
func (l *guardedLoader) unchanged(ctx context.Context, s *loadSessions, table tableInfo) error {
	if !l.mixed || !table.code || !table.own {
		return nil
	}
	code, err := reachOfRows.find(ctx, s, start{tables: []string{table.oid}})
	if err == nil && len(code) > 0 {
		err = &ContentError{Object: "table " + table.name, Why: "the " + code[0].String() + " was put on it while the dump was loaded"}
	}
	return err
}

// lockRows locks a table and looks whether it still runs nothing that it did not run before.
func (s *loadSession) lockRows(ctx context.Context, load rowsLoad, copySQL string) error {
	if err := run(ctx, s.conn, "LOCK TABLE ONLY "+load.table.name+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		return err
	}
	found, err := ask(ctx, s.conn, armed, load.table.oid, strconv.FormatBool(load.table.code), strings.Join(copyColumns(copySQL), "\x1f"))
	if err != nil {
		return err
	}
	if len(found) != 1 || found[0][0] != "false" {
		return &ContentError{Object: "table " + load.table.name, Why: "something was put on it while the dump was loaded"}
	}
	return nil
}
