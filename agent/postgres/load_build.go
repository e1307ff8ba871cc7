package postgres

import (
	"context"
	"sync"
)

// build makes indexes and constraints, several at a time: first those of superusers that run nobody's code, and when these are made those of
// others, by the logins of their owners; what these are not let do comes last, one by one. So no code runs beside what the superuser does.
func (l *guardedLoader) build(ctx context.Context, s *loadSessions, all []definition) error {
	plain, rest := all, []definition(nil)
	if l.mixed {
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
func (l *guardedLoader) buildByOwners(ctx context.Context, s *loadSessions, all []definition) error {
	var mu sync.Mutex
	again := map[string]error{}
	err := l.parallel(ctx, all, func(ctx context.Context, s *loadSessions, d definition) error {
		st := d.statement()
		c := st.code()
		if c.on != ofTable {
			return l.define(ctx, s, d)
		}
		err := l.changeByOwner(ctx, s, d, st, c)
		if refused(err) {
			mu.Lock()
			again[d.sql] = err
			mu.Unlock()
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range all {
		if refusal := again[d.sql]; refusal != nil {
			st := d.statement()
			if err := l.changeAfter(ctx, s, d, st, st.code(), refusal); err != nil {
				return err
			}
		}
	}
	return nil
}

// runsNothing says whether a statement changes a superuser's table, and so may run nobody's code, or it is refused: it is not looked at once
// more beside the code of others.
func (l *guardedLoader) runsNothing(ctx context.Context, s *loadSessions, d definition) (bool, error) {
	st := d.statement()
	c := st.code()
	if c.on != ofTable {
		return false, nil
	}
	table, err := l.table(ctx, s, c.name)
	if err != nil || !table.trusted {
		return false, err
	}
	_, _, err = l.lookAtChange(ctx, s, d, st, c)
	return true, err
}
