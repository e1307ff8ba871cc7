package load

import (
	"context"
	"sync"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// build makes indexes and constraints, several at a time: first those of superusers that run nobody's code, and when these are made those of
// others, by the logins of their owners; what these are not let do comes last, one by one. So no code runs beside what the superuser does.
func (l *loader) build(ctx context.Context, s *loadSessions, all []dump.Definition) error {
	plain, rest := all, []dump.Definition(nil)
	if l.owners.mixed {
		plain = nil
		for _, d := range all {
			harmless, err := l.runsNothing(ctx, s, d)
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
	if err := l.parallel(ctx, plain, l.asAdmin); err != nil {
		return err
	}
	return l.buildByOwners(ctx, s, rest)
}

// buildByOwners makes what logins make.
func (l *loader) buildByOwners(ctx context.Context, s *loadSessions, all []dump.Definition) error {
	var mu sync.Mutex
	again := map[string]error{}
	err := l.parallel(ctx, all, func(ctx context.Context, s *loadSessions, d dump.Definition) error {
		st := d.Statement()
		c := st.Code()
		if c.On != dump.OfTable {
			return l.define(ctx, s, d)
		}
		err := l.changeByOwner(ctx, s, d, st, c)
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
			if err := l.changeAfter(ctx, s, d, st, st.Code(), refusal); err != nil {
				return err
			}
		}
	}
	return nil
}

// runsNothing reports whether a statement changes a superuser's table, and so may run nobody's code, or it is refused: it is not looked at once
// more beside the code of others.
func (l *loader) runsNothing(ctx context.Context, s *loadSessions, d dump.Definition) (bool, error) {
	st := d.Statement()
	c := st.Code()
	if c.On != dump.OfTable {
		return false, nil
	}
	table, err := s.catalog.table(ctx, c.Name)
	if err != nil || !table.trusted {
		return false, err
	}
	_, _, err = l.lookAtChange(ctx, s, d, st, c)
	return true, err
}
