package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// define runs a statement of the dump that makes or changes an object.
//
// Where its expressions may reach code that no superuser wrote, the login of the object's owner runs it, so that whatever the
// server computes at once has the owner's rights. The superuser itself runs what has no expressions, or none that reach anybody's
// code. What would run code of others than its owner is refused.
func (l *loader) define(ctx context.Context, s *loadSessions, d dump.Definition) error {
	st := d.Statement()
	switch {
	case !l.owners.mixed:
		return l.asAdmin(ctx, s, d)
	case st.Does("TABLE", "ATTACH"):
		return l.attach(ctx, s, d, st)
	case st.Does("INDEX", "ATTACH"):
		return l.attachIndex(ctx, s, d, st)
	}
	switch c := st.Code(); c.On {
	case dump.NewObject:
		return l.create(ctx, s, d, st, c)
	case dump.OfTable:
		return l.change(ctx, s, d, st, c)
	case dump.OfDomain:
		return l.changeDomain(ctx, s, d, st, c)
	case dump.OfSuperuser:
		return l.createOwn(ctx, s, d, st, c)
	}
	err := l.asAdmin(ctx, s, d)
	if object, role := dump.OwnerChange(st); object != "" && !l.server.Superuser && postgres.SQLState(err) == postgres.StateNoPrivilege {
		return s.giveAs(ctx, d, object, role, err)
	}
	return err
}

// asAdmin runs a statement as the superuser.
func (l *loader) asAdmin(ctx context.Context, s *loadSessions, d dump.Definition) error {
	l.moving.RLock()
	defer l.moving.RUnlock()
	err := l.paths.run(ctx, s, sessionKey{}, d)
	if content := (*dump.ContentError)(nil); err == nil || errors.As(err, &content) {
		return err
	}
	return fmt.Errorf("%s: %w", dump.FirstWords(d.SQL), err)
}

// create makes an object that is to have an owner.
func (l *loader) create(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	trusted := d.Owner != nil && l.owners.trusted[d.Owner.Role]
	reached := func() (string, error) { return s.code.reachedBy(ctx, st, c, "", trusted) }
	if trusted || len(st.OwnNames(c.Words)) == 0 {
		found, err := reached()
		switch {
		case err != nil:
			return err
		case found == "":
			return l.asAdmin(ctx, s, d)
		case trusted:
			return &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "it belongs to a superuser and uses " + found}
		}
	}
	if d.Owner == nil || d.Owner.Role == "" {
		return &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "the dump does not say whose it is"}
	}
	// Code that runs while an object is made can change it, also when the statement commits: so it is the owner's, or none.
	if l.owners.several {
		others, err := s.code.othersLiterals(ctx, st, c, d.Owner.Role)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			return &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: fmt.Sprintf("it belongs to %q and reads a literal of the %s", d.Owner.Role, others[0])}
		}
	}
	key := sessionKey{owner: d.Owner.Role}
	err := l.createAs(ctx, s, key, d, st)
	if !refused(err) {
		return err
	}
	return unlessHarmless(st, key.owner, err, reached, func() error {
		if !c.Planned || postgres.LacksLogin(err) {
			return l.asAdmin(ctx, s, d)
		}
		return l.logins.lending(ctx, s, key, st.OwnNames(st.Words), nil, func(lent sessionKey) error { return l.createAs(ctx, s, lent, d, st) })
	})
}

// createOwn makes what only a superuser can have.
func (l *loader) createOwn(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	reached, err := s.code.reachedBy(ctx, st, c, "", true)
	if err == nil && reached != "" {
		err = &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "it belongs to a superuser and uses " + reached}
	}
	if err != nil {
		return err
	}
	return l.asAdmin(ctx, s, d)
}

// unlessHarmless does otherwise what a login was not let do, unless that may run somebody's code: code may itself have refused.
//
// What computes something at once is done by the login all the same, with rights that are lent to it. The superuser does it only where no
// login is to be had, and so nobody's code runs; and what reads no more than literals.
func unlessHarmless(st dump.Statement, owner string, err error, reaches func() (string, error), otherwise func() error) error {
	reached, failed := reaches()
	switch {
	case failed != nil:
		return failed
	case reached == "":
		return contentError(dump.FirstWords(st.SQL), owner, otherwise())
	}
	return &dump.ContentError{Object: dump.FirstWords(st.SQL), Why: "it uses " + reached + ", and its owner " + strconv.Quote(owner) + " can't make it", Err: err}
}

// refused reports whether a login was not let do something, or could not be had.
func refused(err error) bool {
	var content *dump.ContentError
	return postgres.SQLState(err) == postgres.StateNoPrivilege || errors.As(err, &content)
}

// changeDomain adds a check to a domain.
func (l *loader) changeDomain(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	rows, err := s.catalog.query(ctx, `SELECT r.rolname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_roles r ON r.oid = t.typowner
		WHERE t.oid = pg_catalog.to_regtype($1::pg_catalog.text)`, c.Name)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("%w: domain %s is not among its definitions", errNotDumped, c.Name)
	}
	key := sessionKey{owner: rows[0][0]}
	reaches := func() (string, error) { return s.code.reachedBy(ctx, st, c, "", l.owners.trusted[key.owner]) }
	if !l.owners.trusted[key.owner] {
		err := l.paths.run(ctx, s, key, d)
		if !refused(err) {
			return err
		}
		return unlessHarmless(st, key.owner, err, reaches, func() error { return l.asAdmin(ctx, s, d) })
	}
	reached, err := reaches()
	if err == nil && reached != "" {
		err = &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "domain " + c.Name + " belongs to a superuser, and this uses " + reached}
	}
	if err != nil {
		return err
	}
	return l.asAdmin(ctx, s, d)
}
