package load

import (
	"context"
	"sync"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// builder makes what stands on rows, and where it can, several things at a time.
type builder struct {
	owners  *owners
	rights  *rights
	maker   *maker
	workers *workers
}

// build makes indexes and constraints, several at a time: first those of superusers, which run nobody's code, then
// those of others, by the logins of their owners. What a login is refused comes last, one by one. So no code runs
// beside what the superuser does.
func (b *builder) build(ctx context.Context, s *loadSessions, all []dump.Definition) error {
	plain, rest := all, []dump.Definition(nil)
	if b.owners.mixed {
		plain = nil
		for _, d := range all {
			harmless, err := b.runsNothing(ctx, s, d)
			if err != nil {
				return err
			}
			if harmless {
				plain = append(plain, d)
			} else {
				rest = append(rest, d)
			}
		}
	}
	if err := b.workers.each(ctx, plain, b.maker.asAdmin); err != nil {
		return err
	}
	return b.buildByOwners(ctx, s, rest)
}

// buildByOwners makes what logins make.
func (b *builder) buildByOwners(ctx context.Context, s *loadSessions, all []dump.Definition) error {
	var mu sync.Mutex
	again := map[string]error{}
	err := b.workers.each(ctx, all, func(ctx context.Context, s *loadSessions, d dump.Definition) error {
		st := d.Statement()
		c := st.Code()
		if c.On != dump.OfTable {
			return b.maker.define(ctx, s, d)
		}
		err := b.maker.changeByOwner(ctx, s, d, st, c)
		if refused(err) {
			mu.Lock()
			again[d.SQL] = err
			mu.Unlock()
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range all {
		if refusal := again[d.SQL]; refusal != nil {
			st := d.Statement()
			if err := b.maker.changeAfter(ctx, s, d, st, st.Code(), refusal); err != nil {
				return err
			}
		}
	}
	return nil
}

// runsNothing reports whether a statement changes a superuser's table, and so runs nobody's code. One that would is an
// error: it is not looked at again once code of others runs beside it.
func (b *builder) runsNothing(ctx context.Context, s *loadSessions, d dump.Definition) (bool, error) {
	st := d.Statement()
	c := st.Code()
	if c.On != dump.OfTable {
		return false, nil
	}
	table, err := s.catalog.table(ctx, c.Name)
	if err != nil || !table.trusted {
		return false, err
	}
	_, _, err = b.maker.lookAtChange(ctx, s, d, st, c)
	return true, err
}

// makeAll runs statements in their order, except that statements that build something run beside each other, up to the
// next one that neither builds nor remarks on something that was built. What gets its owner here gets its rights before
// the next statement runs.
func (b *builder) makeAll(ctx context.Context, s *loadSessions, all []dump.Definition) error {
	var building, remarks []dump.Definition
	flush := func() error {
		if err := b.build(ctx, s, building); err != nil {
			return err
		}
		err := b.maker.defineAll(ctx, s, remarks)
		building, remarks = nil, nil
		return err
	}
	for _, d := range all {
		st := d.Statement()
		switch {
		case builds(st):
			building = append(building, d)
			continue
		case st.Begins("COMMENT"), st.Does("TABLE", "CLUSTER"), st.Does("TABLE", "REPLICA"), st.Begins("ALTER", "INDEX") && !st.Does("INDEX", "ATTACH"):
			remarks = append(remarks, d)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		if err := b.maker.define(ctx, s, d); err != nil {
			return err
		}
		if object, _ := dump.OwnerChange(st); object != "" {
			if err := b.rights.give(ctx, s, object); err != nil {
				return err
			}
		}
	}
	return flush()
}

// builds reports whether a statement reads all rows of a table to build something, and so is worth a session for
// itself.
func builds(s dump.Statement) bool {
	if s.Begins("CREATE", "INDEX") || s.Begins("CREATE", "UNIQUE", "INDEX") {
		return true
	}
	return s.Does("TABLE", "ADD")
}
