package postgres

import (
	"context"
	"io"
	"strings"
)

// dataPass is one way through the data of a dump.
//
// Rows whose load calls functions come in a pass of their own, one table after the other in the order of the dump, when all others are
// loaded, and what guards these stands: a function may look into other tables, and do there what it may.
type dataPass struct {
	tables      func(name string) bool // whose rows are loaded in it
	serial      bool                   // one table after the other, as the dump has them
	first, last bool                   // large objects come with the first pass, the state of sequences with the last
}

// loadData loads rows, sequences and large objects.
func (l *guardedLoader) loadData(ctx context.Context, s *loadSessions) error {
	late, err := l.calling(ctx, s)
	if err != nil {
		return err
	}
	if len(late) == 0 {
		return l.loadPass(ctx, s, dataPass{tables: func(string) bool { return true }, first: true, last: true})
	}
	if err := l.loadPass(ctx, s, dataPass{tables: func(name string) bool { return !late[name] }, first: true}); err != nil {
		return err
	}
	if err := l.guard(ctx, s, late); err != nil {
		return err
	}
	return l.loadPass(ctx, s, dataPass{tables: func(name string) bool { return late[name] }, serial: true, last: true})
}

func (l *guardedLoader) loadPass(ctx context.Context, s *loadSessions, pass dataPass) error {
	if l.Archive != nil {
		return l.loadArchive(ctx, pass)
	}
	src, closeSource, err := l.Plain(ctx)
	if err != nil {
		return err
	}
	err = l.loadPlain(ctx, s, src, pass)
	if closed := closeSource(); err == nil {
		err = closed
	}
	return err
}

// calling are the tables whose rows call functions as they are loaded, that may look into other tables. Where there are several owners, any
// function counts.
func (l *guardedLoader) calling(ctx context.Context, s *loadSessions) (map[string]bool, error) {
	names := l.filled()
	admin, err := s.admin(ctx)
	if err != nil {
		return nil, err
	}
	condition := "true"
	if !l.several {
		condition = mayQuery(l.server)
	}
	return callingTables(ctx, admin.conn, names, condition)
}

// filled are the tables that the dump has rows of.
func (l *guardedLoader) filled() []string {
	var names []string
	add := func(copySQL string) {
		name, _ := copyTarget(copySQL)
		names = append(names, name)
	}
	if l.Archive == nil {
		for sql := range l.Definitions.copies {
			add(sql + ";")
		}
		return names
	}
	for _, e := range l.Archive.Archive.contents.entries {
		if e.tableData() {
			add(e.copySQL)
		}
	}
	return names
}

// guard gives tables that are loaded what guards their rows, before the functions of others are called: triggers, rules, and row security
// that binds their owners. Tables of a tree, and those whose rows are to be tried again, have it with the others.
func (l *guardedLoader) guard(ctx context.Context, s *loadSessions, late map[string]bool) error {
	if !l.several {
		return nil
	}
	ready := func(name string) (bool, error) {
		if l.Definitions.tables[name] == nil || late[name] || l.refused.has(name) {
			return false, nil
		}
		found, err := s.oids(ctx, `SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE pg_catalog.to_regclass($1::pg_catalog.text) IN (i.inhrelid, i.inhparent)`, name)
		return len(found) == 0, err
	}
	var err error
	if l.forced, err = l.guardWith(ctx, s, l.Definitions.forced, ready); err != nil {
		return err
	}
	l.stands, err = l.guardWith(ctx, s, l.stands, ready)
	return err
}

// guardWith runs the statements that guard tables that are ready, and returns the others.
func (l *guardedLoader) guardWith(ctx context.Context, s *loadSessions, all []definition, ready func(string) (bool, error)) ([]definition, error) {
	var rest []definition
	for _, d := range all {
		st := d.statement()
		var name string
		switch {
		case st.begins("CREATE", "RULE"), st.begins("CREATE", "TRIGGER"), st.begins("CREATE", "CONSTRAINT", "TRIGGER"):
			name = st.code().name
		case strings.HasSuffix(d.sql, " FORCE ROW LEVEL SECURITY"):
			name = st.code().name
		}
		ok, err := false, error(nil)
		if name != "" {
			ok, err = ready(name)
		}
		if ok {
			err = l.define(ctx, s, d)
		}
		if NameNotFound(err) { // it needs what comes later
			ok, err = false, nil
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			rest = append(rest, d)
		}
	}
	return rest, nil
}

// PlainSource opens a plain dump anew; the function ends the reading.
type PlainSource func(ctx context.Context) (io.Reader, func() error, error)
