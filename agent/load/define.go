package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// maker runs the statements of a dump that make or change objects, and decides who runs each.
type maker struct {
	server postgres.Server
	owners *owners
	logins *logins
	paths  *pathRunner
	// moving is held while a table is in another schema for a moment; who names tables holds it for reading.
	moving sync.RWMutex
}

// define runs a statement of the dump that makes or changes an object.
//
// Where its expressions may reach code that no superuser wrote, the login of the object's owner runs it, so that
// whatever the server computes at once has the owner's rights. The superuser itself runs what has no expressions, or
// none that reach anybody's code. What would run code of others than its owner is refused.
func (m *maker) define(ctx context.Context, s *loadSessions, d dump.Definition) error {
	st := d.Statement()
	switch {
	case !m.owners.mixed:
		return m.asAdmin(ctx, s, d)
	case st.Does("TABLE", "ATTACH"):
		return m.attach(ctx, s, d, st)
	case st.Does("INDEX", "ATTACH"):
		return m.attachIndex(ctx, s, d, st)
	}
	switch c := st.Code(); c.On {
	case dump.NewObject:
		return m.create(ctx, s, d, st, c)
	case dump.OfTable:
		return m.change(ctx, s, d, st, c)
	case dump.OfDomain:
		return m.changeDomain(ctx, s, d, st, c)
	case dump.OfSuperuser:
		return m.createOwn(ctx, s, d, st, c)
	}
	err := m.asAdmin(ctx, s, d)
	if object, role := dump.OwnerChange(st); object != "" && !m.server.Superuser && postgres.SQLState(err) == postgres.StateNoPrivilege {
		return s.giveAs(ctx, d, object, role, err)
	}
	return err
}

// asAdmin runs a statement as the superuser.
func (m *maker) asAdmin(ctx context.Context, s *loadSessions, d dump.Definition) error {
	m.moving.RLock()
	defer m.moving.RUnlock()
	err := m.paths.run(ctx, s, sessionKey{}, d)
	if content := (*dump.ContentError)(nil); err == nil || errors.As(err, &content) {
		return err
	}
	return fmt.Errorf("%s: %w", dump.FirstWords(d.SQL), err)
}

// create makes an object that is to have an owner.
func (m *maker) create(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	trusted := d.Owner != nil && m.owners.trusted[d.Owner.Role]
	reached := func() (string, error) { return s.code.of(st, c).reachedBy(ctx, "", trusted) }
	if trusted || len(st.OwnNames(c.Words)) == 0 {
		found, err := reached()
		switch {
		case err != nil:
			return err
		case found == "":
			return m.asAdmin(ctx, s, d)
		case trusted:
			return &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "it belongs to a superuser and uses " + found}
		}
	}
	if d.Owner == nil || d.Owner.Role == "" {
		return &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "the dump does not say whose it is"}
	}
	// Code that runs while an object is made can change it, also when the statement commits: so it is the owner's, or none.
	if m.owners.several {
		others, err := s.code.of(st, c).othersLiterals(ctx, d.Owner.Role)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			return &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: fmt.Sprintf("it belongs to %q and reads a literal of the %s", d.Owner.Role, others[0])}
		}
	}
	key := sessionKey{owner: d.Owner.Role}
	err := m.createAs(ctx, s, key, d, st)
	if !refused(err) {
		return err
	}
	return ifHarmless(st, key.owner, err, reached, func() error {
		if !c.Planned || postgres.LacksLogin(err) {
			return m.asAdmin(ctx, s, d)
		}
		return m.logins.lending(ctx, s, key, st.OwnNames(st.Words), nil, func(lent sessionKey) error { return m.createAs(ctx, s, lent, d, st) })
	})
}

// createOwn makes what only a superuser can have.
func (m *maker) createOwn(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	reached, err := s.code.of(st, c).reachedBy(ctx, "", true)
	if err == nil && reached != "" {
		err = &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "it belongs to a superuser and uses " + reached}
	}
	if err != nil {
		return err
	}
	return m.asAdmin(ctx, s, d)
}

// ifHarmless does in another way what a login was refused, if the statement can run nobody's code: it may have been
// code that refused.
//
// What computes something at once is still done by the login, with rights that are lent to it. The superuser does it
// only if there is no login, and so nobody's code runs, or if it reads nothing but literals.
func ifHarmless(st dump.Statement, owner string, err error, reaches func() (string, error), otherwise func() error) error {
	reached, failed := reaches()
	switch {
	case failed != nil:
		return failed
	case reached == "":
		return contentError(dump.FirstWords(st.SQL), owner, otherwise())
	}
	return &dump.ContentError{Object: dump.FirstWords(st.SQL), Why: "it uses " + reached + ", and its owner " + strconv.Quote(owner) + " can't make it", Err: err}
}

// refused reports whether a login was not allowed to do something, or there was no login.
func refused(err error) bool {
	var content *dump.ContentError
	return postgres.SQLState(err) == postgres.StateNoPrivilege || errors.As(err, &content)
}

// changeDomain adds a check to a domain.
func (m *maker) changeDomain(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	rows, err := s.catalog.query(ctx, `SELECT r.rolname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_roles r ON r.oid = t.typowner
		WHERE t.oid = pg_catalog.to_regtype($1::pg_catalog.text)`, c.Name)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("%w: domain %s is not among its definitions", errNotDumped, c.Name)
	}
	key := sessionKey{owner: rows[0][0]}
	reaches := func() (string, error) { return s.code.of(st, c).reachedBy(ctx, "", m.owners.trusted[key.owner]) }
	if !m.owners.trusted[key.owner] {
		err := m.paths.run(ctx, s, key, d)
		if !refused(err) {
			return err
		}
		return ifHarmless(st, key.owner, err, reaches, func() error { return m.asAdmin(ctx, s, d) })
	}
	reached, err := reaches()
	if err == nil && reached != "" {
		err = &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "domain " + c.Name + " belongs to a superuser, and this uses " + reached}
	}
	if err != nil {
		return err
	}
	return m.asAdmin(ctx, s, d)
}

// defineAll runs statements in their order.
func (m *maker) defineAll(ctx context.Context, s *loadSessions, all []dump.Definition) error {
	for _, d := range all {
		if err := m.define(ctx, s, d); err != nil {
			return err
		}
	}
	return nil
}
