package postgres

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
)

// GuardedLoad is a load of a dump whose code gains nothing by it.
//
// A dump holds code of the roles that own its objects: functions, and what calls them while a load goes on, such as checks,
// generated columns, the expressions of partitions and indexes. A superuser that loads rows runs all of it as a superuser. So
// here the superuser runs only statements that run nobody's code. What may run code is run by a login that is no superuser
// and a member of nothing but the role that owns the table, or by the superuser where only superusers wrote that code. Owners
// and rights are given before any code runs, so that none of it meets a function that it may not call.
type GuardedLoad struct {
	Definitions *Definitions // of the same dump, as it was verified
	// Archive is for the custom format; nil for a plain dump.
	Archive *ArchiveLoad
	// Plain is the plain dump, once more. Of its SQL only COPY and what sets sequences and large objects is run again.
	Plain io.Reader
	// SearchPath is the one with which sessions of the database begin: the code in it may look for names there.
	SearchPath string
	Jobs       int    // sessions at once, for indexes and constraints; at least 1
	OnTable    func() // the rows of a table are loaded; may be called by several goroutines at a time
}

// ContentError says that something in a dump can't be loaded so that its code gains nothing.
type ContentError struct {
	Object string // "table public.t"
	Why    string
	Err    error // what the server answered; may be nil
}

// Error implements error.
func (e *ContentError) Error() string {
	if e.Err == nil {
		return e.Object + ": " + e.Why
	}
	return e.Object + ": " + e.Why + ": " + e.Err.Error()
}

// Unwrap returns what the server answered.
func (e *ContentError) Unwrap() error { return e.Err }

// LoadGuarded runs a dump into an empty database, which is to be dropped if it fails: there is no transaction around the
// whole, so that any number of objects can be loaded. It returns how many rows of each table the server took. A
// *ContentError says that the dump can't be loaded in this way.
func (i *Instance) LoadGuarded(ctx context.Context, database string, load GuardedLoad) (map[Table]int64, error) {
	if err := load.Definitions.err; err != nil {
		return nil, err
	}
	server, err := i.Server(ctx)
	if err != nil {
		return nil, err
	}
	l := &guardedLoader{Instance: i, GuardedLoad: load, database: database, server: server,
		logins: map[string]*Instance{}, rows: map[Table]int64{}}
	defer l.closeLogins()
	sessions := l.newSessions()
	defer sessions.close(ctx)
	err = l.load(ctx, sessions)
	return l.rows, err
}

// guardedLoader is a GuardedLoad under way.
type guardedLoader struct {
	*Instance
	GuardedLoad
	database string
	server   Server

	// code are the names of what others than superusers wrote: functions, operators, domains, views. Empty where all code
	// of the database is a superuser's.
	code map[string]bool
	// callable: some of that code can be called by a name that is found by the search path.
	callable bool

	mu     sync.Mutex // guards what follows
	logins map[string]*Instance
	made   int // roles for logins
	rows   map[Table]int64
	types  checkedTypes
}

// load goes through the stages.
func (l *guardedLoader) load(ctx context.Context, s *loadSessions) error {
	d := l.Definitions
	rights := newRights(d.rights)
	if err := l.before(ctx, s, rights); err != nil {
		return err
	}
	if err := rights.rest(ctx, s); err != nil {
		return err
	}
	var err error
	if l.code, err = l.codeNames(ctx, s); err != nil {
		return err
	}
	after := d.after
	if l.server.Superuser {
		err = s.runAll(ctx, d.policies)
	} else {
		after = slices.Concat(d.policies, after) // they would bind who loads the rows
	}
	if err != nil {
		return err
	}
	if l.Archive != nil {
		err = l.loadArchive(ctx)
	} else {
		err = l.loadPlain(ctx, s)
	}
	if err != nil {
		return err
	}
	if err := l.after(ctx, s, after); err != nil {
		return err
	}
	if err := l.dropLogins(ctx, s); err != nil {
		return err
	}
	return s.runAll(ctx, d.last)
}

// errNotDumped says that what is loaded is not what was verified.
var errNotDumped = errors.New("the dump changed after it was verified")

// count adds to the rows of a table.
func (l *guardedLoader) count(table Table, rows int64) {
	l.mu.Lock()
	l.rows[table] += rows
	l.mu.Unlock()
	l.OnTable()
}
