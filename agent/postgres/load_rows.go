package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// rowsLoad is how the rows of one table are loaded.
type rowsLoad struct {
	table tableInfo
	key   sessionKey
	path  string // SET search_path
	// copySQL is the COPY as it stands in the dump, or with another name for the table.
	copySQL string
	// schemas are those whose names the code of a load by nobody needs, quoted.
	schemas []string
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
	var code []reachedCode
	var functions []string
	if l.mixed && table.code {
		if code, functions, err = rowsRun(ctx, s, table.oid); err != nil {
			return load, err
		}
	}
	others := slices.ContainsFunc(code, func(c reachedCode) bool { return c.owner != table.owner })
	switch {
	case others && table.guarded:
		return load, &ContentError{Object: "table " + name, Why: "it has row security, and loading it runs the " + code[0].String()}
	case others:
		load.key.nobody = "table " + name
		if load.schemas, err = openSchemas(ctx, s, name, code, functions); err != nil {
			return load, err
		}
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
	load.copySQL = copySQL
	copying := l.copyBy
	if load.key.nobody != "" {
		copying = l.copyByNobody
	}
	copied, err := copying(ctx, s, load, rows)
	if content := (*ContentError)(nil); errors.As(err, &content) {
		return err
	}
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	l.count(tableOf(name), copied)
	return nil
}

// copyBy loads rows into a table, by its owner's login or as the superuser, and returns how many.
func (l *guardedLoader) copyBy(ctx context.Context, s *loadSessions, load rowsLoad, rows io.Reader) (int64, error) {
	session, err := l.sessionOf(ctx, s, &load)
	if err != nil {
		return 0, err
	}
	if session.login != "" && !load.table.loads {
		if err := l.grant(ctx, s, "GRANT INSERT, TRUNCATE ON TABLE "+load.table.name+" TO "+quoteName(session.login)); err != nil {
			return 0, err
		}
	}
	return l.copyIn(ctx, s, session, load, rows)
}

// copyIn runs the COPY in a transaction of its own, which has ended when it returns.
func (l *guardedLoader) copyIn(ctx context.Context, s *loadSessions, session *loadSession, load rowsLoad, rows io.Reader) (int64, error) {
	copied, err := l.copyWithin(ctx, s, session, load, rows)
	if err != nil && run(ctx, session.conn, "ROLLBACK") != nil {
		s.end(ctx, load.key)
	}
	return copied, err
}

func (l *guardedLoader) copyWithin(ctx context.Context, s *loadSessions, session *loadSession, load rowsLoad, rows io.Reader) (int64, error) {
	if err := session.look(ctx, load.path); err != nil {
		return 0, err
	}
	copySQL, err := session.beginRows(ctx, load)
	if err != nil {
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
	return tag.RowsAffected(), run(ctx, session.conn, "COMMIT")
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
