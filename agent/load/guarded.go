// Package load fills a database from a dump, so that nobody gains rights by the code in it. Guarded is for a live server: each owner's
// objects are made and filled by a login of that owner. Archive is for a server of its own, where a superuser may run all of it.
package load

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// Guarded is a load of a dump whose code gains nothing by it.
//
// A dump holds code of the roles that own its objects: functions, and what calls them while a load goes on, such as checks,
// generated columns, the expressions of partitions and indexes. A superuser that loads rows runs all of it as a superuser. So
// here the superuser runs only what runs no code of others than superusers. What may run code is run by a login that is no
// superuser and a member of nothing but the role that owns the object; rows whose load runs code of several, by one that is a
// member of nothing. Owners and rights are given before any code runs, so that none of it meets a function that it may not call.
type Guarded struct {
	Definitions *dump.Definitions // of the same dump, as it was verified
	// Archive is for the custom format; nil for a plain dump.
	Archive *Archive
	// Plain opens the plain dump once more, once for each pass. Of its SQL only COPY and what sets sequences and large objects is run again.
	Plain PlainSource
	// SearchPath is the one that the database has of its own, "" for none: the code in it may look for names there.
	SearchPath string
	RolePaths  map[string]string // those that roles have in this database in its place; nil is none
	Settings   map[string]string // of the database, by their names; those that change what its code computes are in force for the load
	Owner      string            // who is to own the database; "" for whoever restores
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
	l := &loader{Instance: i, Guarded: load, database: database, server: server,
		progress: newProgress(load.OnTable), guards: map[string]string{}, withheld: map[string]bool{}}
	l.logins = &logins{target: target{i, database, server}}
	l.source = &sessionSource{target: l.logins.target, logins: l.logins, settings: load.Definitions.Session, meanings: meanings(load.Settings)}
	sessions := l.source.sessions()
	defer sessions.close(ctx)
	err = l.load(ctx, sessions)
	return l.progress.rows, err
}

// loader is a GuardedLoad under way.
type loader struct {
	*postgres.Instance
	Guarded
	database string
	server   postgres.Server

	logins   *logins
	source   *sessionSource
	owners   *owners
	paths    *pathRunner
	progress *progress
	schemas  []dump.Definition // that give schemas their owners
	stands   []dump.Definition // what is to stand on rows, and is not made yet
	forced   []dump.Definition // row security that is not set yet: for an agent that is no superuser any, and such as binds owners, too
	guards   map[string]string // what each statement of these guards, by its text
	refused  laterTables       // whose rows the server refused
	rights   *rights
	// withheld are the tables and views on which others have no rights yet; it is for the goroutine that goes through the stages.
	withheld map[string]bool
	// ofPublic are the grants that the schema public comes with.
	ofPublic []dump.Definition

	// moving is held while a table is in another schema for a moment; who names tables holds it for reading.
	moving sync.RWMutex
}

// load goes through the stages.
func (l *loader) load(ctx context.Context, s *loadSessions) error {
	d := l.Definitions
	var err error
	if l.owners, err = findOwners(ctx, s.catalog, l.Guarded); err != nil {
		return err
	}
	l.paths = &pathRunner{owners: l.owners}
	release, err := l.holdBackground(ctx)
	if err != nil {
		return err
	}
	takeBack, err := lendPublic(ctx, l.Instance, l.database, l.Owner, d)
	if err != nil {
		return err
	}
	rights := newRights(d)
	l.rights = rights
	if err := l.before(ctx, s, rights); err != nil {
		return err
	}
	if err := rights.rest(ctx, s, false); err != nil {
		return err
	}
	if err := s.meanAgain(ctx); err != nil {
		return err
	}
	l.stands, l.forced = d.After, d.Forced
	policies := d.Policies
	if !l.server.Superuser { // row security may bind who loads the rows, and policies alone bind nobody
		var enabled []dump.Definition
		policies, enabled = splitPolicies(policies)
		l.forced = slices.Concat(enabled, d.Forced)
	}
	if err := l.defineAll(ctx, s, policies); err != nil {
		return err
	}
	if err := l.loadData(ctx, s); err != nil {
		return err
	}
	if err := l.defineAll(ctx, s, l.forced); err != nil { // before materialized views are filled
		return err
	}
	if err := l.after(ctx, s, l.stands, rights); err != nil {
		return err
	}
	if err := rights.rest(ctx, s, true); err != nil {
		return err
	}
	if err := l.logins.drop(ctx, s); err != nil {
		return err
	}
	if err := l.giveSchemas(ctx, s, rights); err != nil {
		return err
	}
	if err := takeBack(ctx); err != nil { // before there are event triggers, which may refuse it
		return err
	}
	if err := s.runAll(ctx, d.Last); err != nil {
		return err
	}
	if warning := l.source.ignored.warning(l.server.CurrentUser); warning != "" && l.OnWarning != nil {
		l.OnWarning(warning)
	}
	return release(ctx)
}

// errNotDumped reports that what is loaded is not what was verified.
var errNotDumped = errors.New("the dump changed after it was verified")
