package load

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// change makes something that belongs to a table that exists, or changes the table.
func (m *maker) change(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	err := m.changeByOwner(ctx, s, d, st, c)
	if !refused(err) {
		return err
	}
	return m.changeAfter(ctx, s, d, st, c, err)
}

// changeByOwner does it by the login of the table's owner, or as the superuser if the table is a superuser's.
func (m *maker) changeByOwner(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) error {
	table, _, err := m.lookAtChange(ctx, s, d, st, c)
	if err != nil {
		return err
	}
	if table.trusted {
		return m.asAdmin(ctx, s, d)
	}
	return m.changeAs(ctx, s, sessionKey{owner: table.owner}, d, c, table)
}

// changeAfter does as the superuser what a login was refused, if that runs nobody's code. Everything is looked at
// again: code of the owner may have run since, and changed it. None runs now.
func (m *maker) changeAfter(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code, err error) error {
	table, reaches, failed := m.lookAtChange(ctx, s, d, st, c)
	if errors.Is(failed, errNotDumped) { // it is gone since
		return err
	}
	if failed != nil {
		return failed
	}
	return ifHarmless(st, table.owner, err, reaches, func() error {
		if table.trusted || postgres.LacksLogin(err) || !c.Planned && !makesIndex(st) {
			return m.asAdmin(ctx, s, d)
		}
		key := sessionKey{owner: table.owner}
		return m.logins.lending(ctx, s, key, st.OwnNames(st.Words), nil, func(lent sessionKey) error { return m.changeAs(ctx, s, lent, d, c, table) })
	})
}

// lookAtChange refuses a change that would run code of somebody else than the table's owner. It returns the table, and
// a function that names the code of others than superusers that the change may run.
func (m *maker) lookAtChange(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement, c dump.Code) (tableInfo, func() (string, error), error) {
	m.moving.RLock() // another session may have moved the table for a moment
	defer m.moving.RUnlock()
	table, err := s.catalog.table(ctx, c.Name)
	if err != nil {
		return table, nil, err
	}
	code := s.code.of(st, c)
	way, err := code.wayOf(ctx, table)
	if err != nil {
		return table, nil, err
	}
	reaches := func() (string, error) { return code.changeReaches(ctx, table, way) }
	found, why := "", "table "+c.Name+" belongs to a superuser, and this uses "
	switch {
	case table.trusted:
		found, err = reaches()
	case m.owners.several:
		found, err = code.mixes(ctx, table, way)
		why = fmt.Sprintf("table %s belongs to %q, and this ", c.Name, table.owner)
	}
	if err == nil && found != "" {
		err = &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: why + found}
	}
	return table, reaches, err
}
