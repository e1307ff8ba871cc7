package load

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// change makes something that belongs to a table that exists, or changes the table.
func (l *loader) change(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	err := l.changeByOwner(ctx, s, d, st, c)
	if !refused(err) {
		return err
	}
	return l.changeAfter(ctx, s, d, st, c, err)
}

// changeByOwner does it by the login of the table's owner, or as the superuser where the table is one's.
func (l *loader) changeByOwner(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	table, _, err := l.lookAtChange(ctx, s, d, st, c)
	if err != nil {
		return err
	}
	if table.trusted {
		return l.asAdmin(ctx, s, d)
	}
	return l.changeAs(ctx, s, sessionKey{owner: table.owner}, d, c, table)
}

// changeAfter does as the superuser what a login was not let do, where that runs nobody's code. All is looked at again: code of the owner may
// have run, and changed it. None runs by now.
func (l *loader) changeAfter(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code, err error) error {
	table, reaches, failed := l.lookAtChange(ctx, s, d, st, c)
	if errors.Is(failed, errNotDumped) { // it is gone since
		return err
	}
	if failed != nil {
		return failed
	}
	return unlessHarmless(st, table.owner, err, reaches, func() error {
		if table.trusted || postgres.LacksLogin(err) || !c.Planned && !makesIndex(st) {
			return l.asAdmin(ctx, s, d)
		}
		key := sessionKey{owner: table.owner}
		return l.lending(ctx, s, key, st.OwnNames(st.Words), nil, func(lent sessionKey) error { return l.changeAs(ctx, s, lent, d, c, table) })
	})
}

// lookAtChange refuses a change that would run code of somebody else than the table's owner. It returns the table, and what tells the code
// of others than superusers that the change may run.
func (l *loader) lookAtChange(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) (tableInfo, func() (string, error), error) {
	l.moving.RLock() // another session may have the table elsewhere for the time
	defer l.moving.RUnlock()
	table, err := l.table(ctx, s, c.Name)
	if err != nil {
		return table, nil, err
	}
	way, err := l.wayOf(ctx, s, st, c, table)
	if err != nil {
		return table, nil, err
	}
	reaches := func() (string, error) { return l.changeReaches(ctx, s, st, c, table, way) }
	found, why := "", "table "+c.Name+" belongs to a superuser, and this uses "
	if table.trusted {
		found, err = reaches()
	} else {
		found, err = l.mixes(ctx, s, st, c, table, way)
		why = fmt.Sprintf("table %s belongs to %q, and this ", c.Name, table.owner)
	}
	if err == nil && found != "" {
		err = &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: why + found}
	}
	return table, reaches, err
}

// wayOf is the way to the code that a change of a table may run beside its own expressions.
func (l *loader) wayOf(ctx context.Context, s *loadSessions, st dump.Statement, c dump.Code, table tableInfo) (reach, error) {
	switch c.Looks {
	case dump.AtTree:
		return reachOfTree, nil
	case dump.AtPlans:
		return reachOfQuery, nil
	case dump.AtNotNull:
		if mayBeNull, err := l.mayBeNull(ctx, s, st, table); err != nil || !mayBeNull {
			return reachOfQuery, err
		}
	}
	return reachOfChange, nil
}

// mayBeNull reports whether a column of the key that a statement adds may be null by now: then the server looks whether a check forbids it.
func (l *loader) mayBeNull(ctx context.Context, s *loadSessions, st dump.Statement, table tableInfo) (bool, error) {
	rows, err := s.oids(ctx, `SELECT a.attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attnotnull
		AND a.attname = ANY ($2::pg_catalog.text[])`, table.oid, textArray(copyColumns(st.SQL)))
	return len(rows) > 0, err
}

// mixes names code of somebody else than the owner of a table that a change of it runs, and that the owner did not put there; "" where
// there is none. Who uses another's function on a table trusts it, as with each row; who owns another table of the tree may have put there
// anything.
func (l *loader) mixes(ctx context.Context, s *loadSessions, st dump.Statement, c dump.Code, table tableInfo, way reach) (string, error) {
	if !l.several {
		return "", nil
	}
	others, err := l.othersLiterals(ctx, s, st, c, table.owner)
	if err != nil || len(others) > 0 {
		return first(others, "reads a literal of the "), err
	}
	if c.Scans {
		if others, err = l.othersCalled(ctx, s, st, c, table.owner); err != nil || len(others) > 0 {
			return first(others, "runs for each row the "), err
		}
	}
	owners, err := treeOwners(ctx, s, table.oid)
	if err != nil || len(owners) == 1 {
		return "", err
	}
	found, err := way.find(ctx, s, start{tables: []string{table.oid}})
	if err != nil {
		return "", err
	}
	way.alone = true // what is on the table itself is there by its owner
	own, err := way.find(ctx, s, start{tables: []string{table.oid}})
	others = slices.DeleteFunc(found, func(r reachedCode) bool { return r.owner == table.owner || slices.Contains(own, r) })
	return first(others, "runs the "), err
}

// changeReaches names code of others than superusers that a change of a table may run; "" where there is none.
func (l *loader) changeReaches(ctx context.Context, s *loadSessions, st dump.Statement, c dump.Code, table tableInfo, way reach) (string, error) {
	reached, err := l.reachedBy(ctx, s, st, c, table.oid, table.trusted)
	if err != nil || reached != "" {
		return reached, err
	}
	found, err := l.findAll(ctx, s, way.bySuperuser(true), start{tables: []string{table.oid}}, false)
	if err == nil && len(found) == 0 && way.plans {
		found, err = s.codeOf(ctx, inClasses)
	}
	return first(found, "the "), err
}

// inClasses is code that operator classes, families and ranges call. A superuser who makes these may name anybody's functions, and a
// statement need not name them.
var inClasses = `SELECT o.kind, o.schema, o.name, o.owner FROM (` + codeObjects + `) o WHERE o.kind = 'function' AND o.oid IN (SELECT m.amproc::pg_catalog.oid FROM pg_catalog.pg_amproc m)
	OR o.kind = 'function' AND o.oid IN (SELECT x.oid FROM pg_catalog.pg_range g, pg_catalog.unnest(ARRAY[g.rngcanonical::pg_catalog.oid, g.rngsubdiff::pg_catalog.oid]) AS x (oid))
	OR o.kind = 'operator' AND o.oid IN (SELECT m.amopopr FROM pg_catalog.pg_amop m) LIMIT 1`

// treeOwners are the owners of the tables that are above or below some, these included.
func treeOwners(ctx context.Context, s *loadSessions, tables ...string) ([]string, error) {
	return s.oids(ctx, `WITH RECURSIVE tree (oid) AS (SELECT t.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS t (oid)
		UNION SELECT next.oid FROM tree t CROSS JOIN LATERAL (SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = t.oid
			UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = t.oid) AS next (oid))
		SELECT DISTINCT c.relowner FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid`, oidArray(tables))
}
