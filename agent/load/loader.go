package load

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// loader goes through the stages of a Guarded load. Each of its parts does one thing and holds what it needs for that;
// all goroutines of the load share the parts, and each has sessions of its own. doc.go says how they fit together.
type loader struct {
	target
	definitions *dump.Definitions
	owner       string       // who is to own the database; "" for the role that restores
	onWarning   func(string) // may be nil

	logins  *logins
	owners  *owners
	rights  *rights
	schemas *schemaGiver
	maker   *maker
	data    *dataLoader
	guards  *guards
	builder *builder
	keys    *keyMaker
	views   *viewFiller
}

// newLoader puts the parts together.
func newLoader(load Guarded, source *sessionSource, o *owners) *loader {
	d, in, logins, rights := load.Definitions, source.target, source.logins, newRights(load.Definitions)
	paths := &pathRunner{owners: o}
	maker := &maker{server: in.server, owners: o, logins: logins, paths: paths}
	workers := &workers{source: source, jobs: max(load.Jobs, 1)}
	progress := newProgress(load.OnTable)
	guards := newGuards(d, in.server)
	guards.owners, guards.logins, guards.rights, guards.maker, guards.progress = o, logins, rights, maker, progress
	rows := &rowLoader{definitions: d, server: in.server, owners: o, logins: logins, paths: paths, guards: guards, progress: progress}
	return &loader{
		target: in, definitions: d, owner: load.Owner, onWarning: load.OnWarning,
		logins: logins, owners: o, rights: rights, schemas: &schemaGiver{rights: rights}, maker: maker, guards: guards,
		data:    &dataLoader{target: in, definitions: d, archive: load.Archive, plain: load.Plain, jobs: workers.jobs, source: source, owners: o, rows: rows, guards: guards, progress: progress},
		builder: &builder{owners: o, rights: rights, maker: maker, workers: workers},
		keys:    &keyMaker{all: d.Keys, owners: o, logins: logins, paths: paths, workers: workers},
		views:   &viewFiller{all: d.Refresh, owners: o, logins: logins, paths: paths},
	}
}

// load goes through the stages.
func (l *loader) load(ctx context.Context, s *loadSessions) error {
	release, err := l.holdBackground(ctx)
	if err != nil {
		return err
	}
	takeBack, err := lendPublic(ctx, l.instance, l.database, l.owner, l.definitions)
	if err != nil {
		return err
	}
	stages := []func(context.Context, *loadSessions) error{
		l.makeObjects,         // what rows and indexes need, with owners and rights
		l.guards.makePolicies, // policies, and row security that does not bind who loads
		l.data.load,           // rows, large objects, sequences
		l.guards.finish,       // the rest of row security: before materialized views are filled
		l.makeOnRows,          // indexes, constraints, triggers, materialized views
		l.giveAway,            // the rest of the rights, and schemas to their owners
	}
	for _, stage := range stages {
		if err := stage(ctx, s); err != nil {
			return err
		}
	}
	if err := takeBack(ctx); err != nil { // before there are event triggers, which may refuse it
		return err
	}
	if err := s.runAll(ctx, l.definitions.Last); err != nil {
		return err
	}
	if warning := s.source.ignored.warning(l.server.CurrentUser); warning != "" && l.onWarning != nil {
		l.onWarning(warning)
	}
	return release(ctx)
}

// makeObjects makes the objects that rows and indexes need, and gives each its owner and the rights on it. A schema
// gets its owner when all is loaded: until then who is to own it may make objects there, and not drop those of others.
func (l *loader) makeObjects(ctx context.Context, s *loadSessions) error {
	if err := l.schemas.keepPublic(ctx, s); err != nil {
		return err
	}
	if !l.definitions.Owned["SCHEMA "+publicSchema] { // it is there already
		if err := l.rights.give(ctx, s, "SCHEMA "+publicSchema); err != nil {
			return err
		}
	}
	if err := l.rights.ofForeign(ctx, s); err != nil {
		return err
	}
	for _, d := range l.definitions.Before {
		st := d.Statement()
		object, role := dump.OwnerChange(st)
		var err error
		if schema, ok := strings.CutPrefix(object, "SCHEMA "); ok && l.owners.mixed && !l.owners.trusted[role] {
			err = l.schemas.postpone(ctx, s, d, schema, role)
		} else {
			err = l.maker.define(ctx, s, d)
		}
		if err == nil && l.owners.shared && isDefiner(st) && d.Owner != nil {
			err = l.guards.withholdDefiner(ctx, s, d.Owner.Object)
		}
		if err == nil && object != "" && !l.guards.definers[object] {
			err = l.rights.give(ctx, s, object)
		}
		if err == nil && st.Begins("CREATE", "EXTENSION") {
			err = l.rights.ofForeign(ctx, s)
		}
		if err != nil {
			return err
		}
	}
	if err := l.rights.rest(ctx, s, false); err != nil {
		return err
	}
	return s.meanAgain(ctx)
}

// makeOnRows makes what stands on rows: indexes, constraints, triggers; then it fills materialized views.
//
// The planner computes the constant parts of an index's condition, and of statistics, whenever it plans a query of the
// table, as whoever plans it. So what plans queries as the superuser, foreign keys and the superusers' own materialized
// views, comes before the indexes and statistics that have any. An index is built, and a materialized view filled, by
// the server as the owner.
func (l *loader) makeOnRows(ctx context.Context, s *loadSessions) error {
	plain, late := dump.SplitLate(l.guards.stands)
	if err := l.builder.makeAll(ctx, s, plain); err != nil {
		return err
	}
	if err := l.guards.giveBack(ctx, s, ""); err != nil {
		return err
	}
	if err := l.keys.make(ctx, s); err != nil {
		return err
	}
	early, views, err := l.views.split(ctx, s)
	if err != nil {
		return err
	}
	if err := l.views.fill(ctx, s, early); err != nil {
		return err
	}
	if err := l.builder.makeAll(ctx, s, late); err != nil {
		return err
	}
	if err := l.views.fill(ctx, s, views); err != nil {
		return err
	}
	return l.maker.defineAll(ctx, s, l.definitions.Remarks)
}

// giveAway gives the rights that are not given yet, drops the logins, and gives schemas their owners.
func (l *loader) giveAway(ctx context.Context, s *loadSessions) error {
	if err := l.rights.rest(ctx, s, true); err != nil {
		return err
	}
	if err := l.logins.drop(ctx, s); err != nil {
		return err
	}
	return l.schemas.give(ctx, s)
}

// holdBackground keeps what the server does by itself from changing anything in the database, until release.
//
// An autovacuum may start at any time. It runs functions of owners, as the owner: those of a column's range type, and
// later of indexes. These may do what their owner may, beside a statement of the superuser that was already looked at,
// for example make an index on a table that is about to be read. A transaction that only reads can't, and can't become
// another kind halfway. Our own sessions say that they write.
func (l *loader) holdBackground(ctx context.Context) (release func(context.Context) error, err error) {
	if !l.owners.mixed {
		return func(context.Context) error { return nil }, nil
	}
	const setting = " default_transaction_read_only"
	alter := "ALTER DATABASE " + postgres.QuoteName(l.database)
	return func(ctx context.Context) error {
		return l.instance.Execute(ctx, alter+" RESET"+setting)
	}, l.instance.Execute(ctx, alter+" SET"+setting+" = on")
}
