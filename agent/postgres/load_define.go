package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// define runs a statement of the dump that makes or changes an object.
//
// Where its expressions may reach code that no superuser wrote, the login of the object's owner runs it, so that whatever the
// server computes at once has the owner's rights. The superuser itself runs what has no expressions, or none that reach anybody's
// code. What would run code of others than its owner is refused.
func (l *guardedLoader) define(ctx context.Context, s *loadSessions, d definition) error {
	if !l.mixed {
		return l.asAdmin(ctx, s, d)
	}
	st := d.statement()
	switch {
	case st.does("TABLE", "ATTACH"):
		return l.attach(ctx, s, d, st)
	case st.does("INDEX", "ATTACH"):
		return l.attachIndex(ctx, s, d, st)
	}
	switch c := st.code(); c.on {
	case newObject:
		return l.create(ctx, s, d, st, c)
	case ofTable:
		return l.change(ctx, s, d, st, c)
	case ofDomain:
		return l.changeDomain(ctx, s, d, st, c)
	}
	return l.asAdmin(ctx, s, d)
}

// asAdmin runs a statement as the superuser, with the search path of the database where it needs that and nobody else's code can
// be found along it.
func (l *guardedLoader) asAdmin(ctx context.Context, s *loadSessions, d definition) error {
	l.moving.RLock()
	defer l.moving.RUnlock()
	if err := l.runWithPaths(ctx, s, sessionKey{}, d, !l.callable); err != nil {
		return fmt.Errorf("%s: %w", firstWords(d.sql), err)
	}
	return nil
}

// create makes an object that is to have an owner.
func (l *guardedLoader) create(ctx context.Context, s *loadSessions, d definition, st statement, c code) error {
	trusted := d.owner != nil && l.trusted[d.owner.role]
	reached := func() (string, error) { return l.reachedBy(ctx, s, st, c, "", trusted) }
	if trusted || len(st.ownNames(c.words)) == 0 {
		found, err := reached()
		switch {
		case err != nil:
			return err
		case found == "":
			return l.asAdmin(ctx, s, d)
		case trusted:
			return &ContentError{Object: firstWords(d.sql), Why: "it belongs to a superuser and uses " + found}
		}
	}
	if d.owner == nil || d.owner.role == "" {
		return &ContentError{Object: firstWords(d.sql), Why: "the dump does not say whose it is"}
	}
	// Code that runs while an object is made can change it, also when the statement commits: so it is the owner's, or none.
	others, err := l.othersLiterals(ctx, s, st, c, d.owner.role)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		return &ContentError{Object: firstWords(d.sql), Why: fmt.Sprintf("it belongs to %q and reads a literal of the %s", d.owner.role, others[0])}
	}
	key := sessionKey{owner: d.owner.role}
	return l.unlessHarmless(ctx, s, d, key, reached, l.createAs(ctx, s, key, d, st))
}

// unlessHarmless runs as the superuser what a login may not run, unless that reaches somebody's code.
func (l *guardedLoader) unlessHarmless(ctx context.Context, s *loadSessions, d definition, key sessionKey, reaches func() (string, error), err error) error {
	if !refused(err) {
		return err
	}
	reached, failed := reaches()
	switch {
	case failed != nil:
		return failed
	case reached == "":
		return l.asAdmin(ctx, s, d)
	}
	return &ContentError{Object: firstWords(d.sql), Why: "it uses " + reached + ", and its owner " + strconv.Quote(key.owner) + " can't make it", Err: err}
}

// refused says whether a login was not let do something, or could not be had.
func refused(err error) bool {
	var content *ContentError
	return sqlState(err) == stateNoPrivilege || errors.As(err, &content)
}

// change makes something that belongs to a table that exists, or changes the table.
func (l *guardedLoader) change(ctx context.Context, s *loadSessions, d definition, st statement, c code) error {
	table, err := l.table(ctx, s, c.name)
	if err != nil {
		return err
	}
	reaches := func() (string, error) { return l.changeReaches(ctx, s, st, c, table) }
	key := sessionKey{owner: table.owner}
	mixed, err := l.mixes(ctx, s, st, c, table)
	if err != nil {
		return err
	}
	if mixed != "" {
		return &ContentError{Object: firstWords(d.sql), Why: fmt.Sprintf("table %s belongs to %q, and this %s", c.name, table.owner, mixed)}
	}
	if !table.trusted && (len(st.ownNames(c.words)) > 0 || !makesIndex(st)) {
		return l.unlessHarmless(ctx, s, d, key, reaches, l.changeAs(ctx, s, key, d, c, table))
	}
	reached, err := reaches()
	switch {
	case err != nil:
		return err
	case reached != "" && table.trusted:
		return &ContentError{Object: firstWords(d.sql), Why: "table " + c.name + " belongs to a superuser, and this uses " + reached}
	case reached == "":
		if err = l.asAdmin(ctx, s, d); table.trusted || !NameNotFound(err) {
			return err
		}
	}
	return l.unlessHarmless(ctx, s, d, key, reaches, l.changeAs(ctx, s, key, d, c, table))
}

// mixes names code of somebody else than the owner of a table that a change of it may run; "" where there is none.
func (l *guardedLoader) mixes(ctx context.Context, s *loadSessions, st statement, c code, table tableInfo) (string, error) {
	if !l.several || table.trusted {
		return "", nil
	}
	others, err := l.othersLiterals(ctx, s, st, c, table.owner)
	if err != nil || len(others) > 0 {
		return first(others, "reads a literal of the "), err
	}
	found, err := reachOfChange.find(ctx, s, start{tables: []string{table.oid}})
	others = slices.DeleteFunc(found, func(r reachedCode) bool { return r.owner == table.owner })
	return first(others, "runs the "), err
}

// changeReaches names code of others than superusers that a change of a table may run; "" where there is none.
func (l *guardedLoader) changeReaches(ctx context.Context, s *loadSessions, st statement, c code, table tableInfo) (string, error) {
	reached, err := l.reachedBy(ctx, s, st, c, table.oid, table.trusted)
	if err != nil || reached != "" {
		return reached, err
	}
	found, err := reachOfChange.find(ctx, s, start{tables: []string{table.oid}})
	return first(found, "the "), err
}

// changeDomain adds a check to a domain.
func (l *guardedLoader) changeDomain(ctx context.Context, s *loadSessions, d definition, st statement, c code) error {
	rows, err := s.query(ctx, `SELECT r.rolname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_roles r ON r.oid = t.typowner
		WHERE t.oid = pg_catalog.to_regtype($1::pg_catalog.text)`, c.name)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("%w: domain %s is not among its definitions", errNotDumped, c.name)
	}
	key := sessionKey{owner: rows[0][0]}
	reaches := func() (string, error) { return l.reachedBy(ctx, s, st, c, "", l.trusted[key.owner]) }
	if !l.trusted[key.owner] {
		return l.unlessHarmless(ctx, s, d, key, reaches, l.runWithPaths(ctx, s, key, d, true))
	}
	reached, err := reaches()
	if err == nil && reached != "" {
		err = &ContentError{Object: firstWords(d.sql), Why: "domain " + c.name + " belongs to a superuser, and this uses " + reached}
	}
	if err != nil {
		return err
	}
	return l.asAdmin(ctx, s, d)
}

// attach makes a table a partition. For that the server computes constant parts of the checks and expressions of the whole tree,
// and reads the bounds.
func (l *guardedLoader) attach(ctx context.Context, s *loadSessions, d definition, st statement) error {
	parent, err := l.table(ctx, s, strings.TrimPrefix(st.reference("TABLE", "ATTACH"), "ONLY "))
	if err != nil {
		return err
	}
	child, err := l.table(ctx, s, st.reference("PARTITION", "FOR", "DEFAULT"))
	if err != nil {
		return err
	}
	reached, err := l.attachReaches(ctx, s, parent.oid, child.oid)
	if err != nil {
		return err
	}
	if len(reached) == 0 {
		return l.asAdmin(ctx, s, d)
	}
	others := slices.ContainsFunc(reached, func(r reachedCode) bool { return r.owner != parent.owner })
	if parent.trusted || parent.owner != child.owner || others {
		return &ContentError{Object: "table " + child.name, Why: "to make it a part of " + parent.name + " runs the " + reached[0].String() + ", and they do not all belong to one role that is no superuser"}
	}
	return contentError("table "+child.name, parent.owner, l.runWithPaths(ctx, s, sessionKey{owner: parent.owner}, d, true))
}

// attachIndex makes an index a part of a partitioned one, for which the server reads the conditions of both.
func (l *guardedLoader) attachIndex(ctx context.Context, s *loadSessions, d definition, st statement) error {
	index, err := l.table(ctx, s, st.reference("INDEX", "ATTACH"))
	if err != nil {
		return err
	}
	part, err := s.oids(ctx, `SELECT x.indrelid FROM pg_catalog.pg_index x WHERE x.indexrelid = pg_catalog.to_regclass($1::pg_catalog.text)`,
		st.qualifiedName(st.find(3, "PARTITION")+1))
	if err != nil {
		return err
	}
	reached, err := l.queryReaches(ctx, s, part...)
	if err != nil {
		return err
	}
	if n := slices.IndexFunc(reached, func(r reachedCode) bool { return r.owner != index.owner }); n >= 0 {
		return &ContentError{Object: firstWords(d.sql), Why: fmt.Sprintf("the index of %q would run the %s", index.owner, reached[n])}
	}
	if index.trusted {
		return l.asAdmin(ctx, s, d)
	}
	return l.runWithPaths(ctx, s, sessionKey{owner: index.owner}, d, true)
}

// contentError names the object whose code was refused what it needs when it ran as its owner.
func contentError(object, owner string, err error) error {
	if sqlState(err) != stateNoPrivilege {
		return err
	}
	return &ContentError{Object: object, Why: "its owner " + strconv.Quote(owner) + " can't load it", Err: err}
}
