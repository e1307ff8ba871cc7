package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// rowLoader loads the rows of tables, and decides who loads those of each.
type rowLoader struct {
	definitions *dump.Definitions
	server      postgres.Server
	owners      *owners
	logins      *logins
	paths       *pathRunner
	guards      *guards
	progress    *progress
}

// rowsLoad is how the rows of one table are loaded.
type rowsLoad struct {
	table tableInfo
	key   sessionKey
	path  string // SET search_path
	alone bool   // the superuser's functions find names by the path: nobody else's code may run at that time, or be found
	// copySQL is the COPY as it stands in the dump, or with another name for the table.
	copySQL string
	// schemas are those whose names the code of a load by nobody needs, quoted.
	schemas []string
}

// plan decides who loads the rows of a table: a login of its owner; a login of nobody, if that runs what others wrote;
// the superuser, if the table is a superuser's and loading it runs only what superusers wrote.
func (l *rowLoader) plan(ctx context.Context, s *loadSessions, name string) (rowsLoad, error) {
	table, err := s.catalog.table(ctx, name)
	load := rowsLoad{table: table, path: emptyPath}
	if err != nil {
		return load, err
	}
	if want := l.definitions.Tables[name]; want != nil && want.Role != "" && want.Role != table.owner {
		return load, &dump.ContentError{Object: "table " + name, Why: fmt.Sprintf("it belongs to %q by now, and not to %q", table.owner, want.Role)}
	}
	if !table.own {
		return load, l.mayFillExtension(table)
	}
	var code []reachedCode
	var functions []string
	if l.owners.mixed && (table.code || table.routed()) {
		if code, functions, err = s.code.rowsRun(ctx, table); err != nil {
			return load, err
		}
	}
	if l.owners.mixed && table.routed() {
		if err := oneOwner(ctx, s, table, code); err != nil {
			return load, err
		}
	}
	if l.owners.mixed {
		types, err := s.code.changeableBy(ctx, table)
		if err != nil {
			return load, err
		}
		code = append(code, types...)
	}
	others := slices.ContainsFunc(code, func(c reachedCode) bool { return table.trusted || c.owner != table.owner })
	switch {
	case others && table.refers:
		return load, &dump.ContentError{Object: "table " + name, Why: "it holds names of objects, and loading it runs code of several roles"}
	case others:
		if err := s.code.noDefiner(ctx, table, code, functions); err != nil {
			return load, err
		}
		load.key.nobody = "table " + name
		if load.schemas, err = l.openSchemas(ctx, s, code, functions); err != nil {
			return load, err
		}
	case !table.trusted && table.refers && !table.code && !table.routed():
		return load, nil // by the superuser, behind a lock: it runs nothing
	case !table.trusted:
		load.key.owner = table.owner
	case l.owners.mixed && len(functions) == 0:
		return load, nil
	case l.owners.mixed:
		load.alone = true
	}
	if table.code {
		load.path = l.owners.searchPath(load.key)
	}
	return load, nil
}

// sessionOf is the session for a load. If there is no login, the superuser loads what runs nothing, with the table
// locked and looked at again.
func (l *rowLoader) sessionOf(ctx context.Context, s *loadSessions, load *rowsLoad) (*loadSession, error) {
	session, err := s.session(ctx, load.key)
	if postgres.LacksLogin(err) && !load.table.code {
		load.key, load.path = sessionKey{}, emptyPath
		session, err = s.session(ctx, load.key)
	}
	return session, err
}

// copy loads the rows of one table, by the session that may.
func (l *rowLoader) copy(ctx context.Context, s *loadSessions, name, copySQL string, rows io.Reader) error {
	load, err := l.plan(ctx, s, name)
	if err != nil {
		return err
	}
	load.copySQL = copySQL
	copying := l.copyBy
	if load.key.nobody != "" {
		copying = l.copyByNobody
	}
	copied, err := copying(ctx, s, load, rows)
	if content := (*dump.ContentError)(nil); errors.As(err, &content) {
		return err
	}
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	l.progress.loaded(name, copied)
	return nil
}

// copyBy loads rows into a table, by its owner's login or as the superuser, and returns how many.
func (l *rowLoader) copyBy(ctx context.Context, s *loadSessions, load rowsLoad, rows io.Reader) (int64, error) {
	session, err := l.sessionOf(ctx, s, &load)
	if err != nil {
		return 0, err
	}
	const insert = "INSERT, TRUNCATE ON TABLE "
	switch {
	case session.login == "":
	case !load.table.uses && !load.table.code:
		var copied int64
		err = l.logins.lending(ctx, s, load.key, []string{load.table.name}, []string{insert + load.table.name}, func(lent sessionKey) error {
			load.key = lent
			copied, err = l.copyIn(ctx, s, s.open[lent], load, rows)
			return err
		})
		return copied, err
	case !load.table.loads:
		if err := l.logins.grant(ctx, s, "GRANT "+insert+load.table.name+" TO "+postgres.QuoteName(session.login)); err != nil {
			return 0, err
		}
	}
	return l.copyIn(ctx, s, session, load, rows)
}

// copyIn runs the COPY in a transaction of its own, which has ended when it returns.
func (l *rowLoader) copyIn(ctx context.Context, s *loadSessions, session *loadSession, load rowsLoad, rows io.Reader) (int64, error) {
	copied, err := l.copyQuietly(ctx, s, session, load, rows)
	if err != nil && postgres.Run(ctx, session.conn, "ROLLBACK") != nil {
		s.end(ctx, load.key)
	}
	if session.login == "" { // what it does next finds no names by a path
		err = errors.Join(err, session.look(ctx, emptyPath))
	}
	return copied, err
}

// copyQuietly does it with no login running while the superuser finds names by a path, and follows no path along which
// others have code.
func (l *rowLoader) copyQuietly(ctx context.Context, s *loadSessions, session *loadSession, load rowsLoad, rows io.Reader) (int64, error) {
	if !load.alone {
		if session.login != "" {
			l.paths.quiet.RLock()
			defer l.paths.quiet.RUnlock()
		}
		return l.copyWithin(ctx, s, session, load, rows)
	}
	l.paths.quiet.Lock()
	defer l.paths.quiet.Unlock()
	found, err := othersAlong(ctx, s, load.path)
	if err != nil {
		return 0, err
	}
	if len(found) > 0 {
		load.path = emptyPath
	}
	return l.copyWithin(ctx, s, session, load, rows)
}

func (l *rowLoader) copyWithin(ctx context.Context, s *loadSessions, session *loadSession, load rowsLoad, rows io.Reader) (int64, error) {
	if err := session.look(ctx, load.path); err != nil {
		return 0, err
	}
	copySQL, err := l.beginRows(ctx, s, session, load)
	if err != nil {
		return 0, l.rowsError(load, err)
	}
	source := &countedReader{src: rows, read: func(int) {}}
	tag, err := session.conn.CopyFrom(ctx, source, copySQL)
	if err != nil || source.failed != nil {
		return 0, cmp.Or(source.failed, l.rowsError(load, err))
	}
	return tag.RowsAffected(), postgres.Run(ctx, session.conn, "COMMIT")
}

// rowsError says why rows could not be loaded.
func (l *rowLoader) rowsError(load rowsLoad, err error) error {
	switch {
	case load.key.owner != "":
		return contentError("table "+load.table.name, load.table.owner, err)
	case load.key.nobody != "" && postgres.SQLState(err) == postgres.StateNoPrivilege:
		return &dump.ContentError{Object: "table " + load.table.name, Why: "loading it runs code of several roles, and a login without rights can't load it", Err: err}
	case load.table.code && l.owners.mixed && postgres.NameNotFound(err):
		return &dump.ContentError{Object: "table " + load.table.name, Why: "its code finds names by the search path, which others have a part in", Err: err}
	}
	return err
}

// mayFillExtension refuses rows for anything that is no table of a superuser's extension. The superuser loads these
// rows, and the owner of a table may have put something else in its place.
func (l *rowLoader) mayFillExtension(table tableInfo) error {
	if l.owners.mixed && (table.kind != "r" || !table.trusted) {
		return &dump.ContentError{Object: "table " + table.name, Why: "it is no table that the dump made, by now"}
	}
	return nil
}

// oneOwner refuses rows that find their partition as they are loaded, unless one role owns all the tables and all code
// that this runs.
func oneOwner(ctx context.Context, s *loadSessions, table tableInfo, code []reachedCode) error {
	owners, err := s.catalog.treeOwners(ctx, table.oid)
	if err != nil {
		return err
	}
	others := slices.ContainsFunc(code, func(c reachedCode) bool { return c.owner != table.owner })
	if len(owners) > 1 || others {
		return &dump.ContentError{Object: "table " + table.name, Why: "its rows are loaded by way of it into partitions that several roles have a part in"}
	}
	return nil
}
