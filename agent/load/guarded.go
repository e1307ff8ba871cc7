package load

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// Guarded is a load of a dump whose code gains nothing by it.
//
// A dump holds code of the roles that own its objects: functions, and what calls them during a load, such as checks,
// generated columns, the expressions of partitions and indexes. A superuser that loads rows runs all of it as a
// superuser. So here the superuser runs only what runs no code of others than superusers. What may run code is run by a
// login that is no superuser and a member of nothing but the role that owns the object; rows whose load runs code of
// several roles, by a login that is a member of nothing. Owners and rights are given before any code runs, so that no
// code finds a function that it may not call.
type Guarded struct {
	Definitions *dump.Definitions // of the same dump, as it was verified
	// Archive is for the custom format; nil for a plain dump.
	Archive *Archive
	// Plain opens the plain dump again, once for each pass. Of its SQL only COPY and what sets sequences and large objects is run again.
	Plain PlainSource
	// SearchPath is the one that is set for the database, "" for none: the code in it may look for names there.
	SearchPath string
	RolePaths  map[string]string // those that are set for roles in this database, and apply instead; nil is none
	Settings   map[string]string // of the database, by their names; those that change what its code computes are in force for the load
	Owner      string            // who is to own the database; "" for the role that restores
	Jobs       int               // sessions at once, for indexes and constraints; at least 1
	OnWarning  func(string)      // may be nil; hears what the database lacks
	OnTable    func()            // the rows of a table are loaded; may be called by several goroutines at a time
}

// Into runs a dump into an empty database, which is to be dropped if it fails: there is no transaction around the
// whole, so that any number of objects can be loaded. It returns how many rows of each table the server took. A
// *ContentError says that the dump can't be loaded in this way.
func (load Guarded) Into(ctx context.Context, i *postgres.Instance, database string) (map[postgres.Table]int64, error) {
	if err := load.Definitions.Err; err != nil {
		return nil, err
	}
	if rest := load.Definitions.Split.Rest(); rest != "" {
		return nil, &dump.ContentError{Object: dump.FirstWords(rest), Why: "its end is not found"}
	}
	server, err := i.Server(ctx)
	if err != nil {
		return nil, err
	}
	source := newSource(target{i, database, server}, load)
	sessions := source.sessions()
	defer sessions.close(ctx)
	owners, err := findOwners(ctx, sessions.catalog, load)
	if err != nil {
		return nil, err
	}
	l := newLoader(load, source, owners)
	err = l.load(ctx, sessions)
	return l.data.progress.rows, err
}

// errNotDumped reports that what is loaded is not what was verified.
var errNotDumped = errors.New("the dump changed after it was verified")
