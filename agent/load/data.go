package load

import (
	"context"
	"io"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// dataLoader loads the data of a dump: rows, sequences and large objects.
type dataLoader struct {
	target
	definitions *dump.Definitions
	archive     *Archive    // nil for a plain dump
	plain       PlainSource // for a plain dump
	jobs        int         // sessions at once; at least 1
	source      *sessionSource
	owners      *owners
	rows        *rowLoader
	guards      *guards
	progress    *progress
	refused     laterTables // whose rows the server refused
}

// dataPass is one way through the data of a dump.
//
// Rows whose load calls functions are loaded in a second pass, one table after the other in the order of the dump. By
// then all other rows are loaded, and what guards them is in place: a function may look into other tables, and do there
// what it may.
type dataPass struct {
	tables      func(name string) bool // whose rows are loaded in it
	serial      bool                   // one table after the other, as the dump has them
	first, last bool                   // large objects come with the first pass, the state of sequences with the last
}

// load loads all of it.
func (l *dataLoader) load(ctx context.Context, s *loadSessions) error {
	late, err := l.calling(ctx, s)
	if err != nil {
		return err
	}
	l.progress.await(l.filled())
	if len(late) == 0 {
		if err := l.loadPass(ctx, s, dataPass{tables: func(string) bool { return true }, first: true, last: true}); err != nil {
			return err
		}
		if err := l.guards.guard(ctx, s, ""); err != nil { // what comes next may run code as well
			return err
		}
		return l.guards.withhold(ctx, s)
	}
	if err := l.loadPass(ctx, s, dataPass{tables: func(name string) bool { return !late[name] }, first: true}); err != nil {
		return err
	}
	if err := l.guards.guard(ctx, s, ""); err != nil {
		return err
	}
	if err := l.guards.withhold(ctx, s); err != nil {
		return err
	}
	return l.loadPass(ctx, s, dataPass{tables: func(name string) bool { return late[name] }, serial: true, last: true})
}

func (l *dataLoader) loadPass(ctx context.Context, s *loadSessions, pass dataPass) error {
	if l.archive != nil {
		return l.loadArchive(ctx, pass)
	}
	src, closeSource, err := l.plain(ctx)
	if err != nil {
		return err
	}
	err = l.loadPlain(ctx, s, src, pass)
	if closed := closeSource(); err == nil {
		err = closed
	}
	return err
}

// calling are the tables whose rows, as they are loaded, call functions that may look into other tables. If there are
// several owners, any function counts, and of the server's own those that may run one.
func (l *dataLoader) calling(ctx context.Context, s *loadSessions) (map[string]bool, error) {
	names := l.filled()
	admin, err := s.admin(ctx)
	if err != nil {
		return nil, err
	}
	if l.owners.shared {
		return callingTables(ctx, admin.conn, names, "true", mayRun)
	}
	return callingTables(ctx, admin.conn, names, mayQuery(l.server), mayRead)
}

// filled are the tables that the dump has rows of.
func (l *dataLoader) filled() []string {
	var names []string
	add := func(copySQL string) {
		name, _ := dump.CopyTarget(copySQL)
		names = append(names, name)
	}
	if l.archive == nil {
		for sql := range l.definitions.Copies {
			add(sql + ";")
		}
		return names
	}
	for _, e := range l.archive.Index.Contents.Entries {
		if e.TableData() {
			add(e.CopySQL)
		}
	}
	return names
}

// PlainSource opens a plain dump again; the function ends the reading.
type PlainSource func(ctx context.Context) (io.Reader, func() error, error)
