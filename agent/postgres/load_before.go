package postgres

import "context"

// rights are the grants of a dump. Those of schemas and functions are given as soon as these have their owner, for code may
// run before all objects are made; the others when all are.
type rights struct {
	all []definition
	of  map[string][]int // by "FUNCTION public.f()": positions in all
	ran []bool
}

func newRights(all []definition) *rights {
	r := &rights{all: all, of: map[string][]int{}, ran: make([]bool, len(all))}
	for n, d := range all {
		if object := d.statement().reference("ON", "TO", "FROM"); object != "" {
			r.of[object] = append(r.of[object], n)
		}
	}
	return r
}

// give runs the grants on an object that got its owner.
func (r *rights) give(ctx context.Context, s *loadSessions, object string) error {
	for _, n := range r.of[object] {
		if r.ran[n] {
			continue
		}
		r.ran[n] = true
		if err := s.run(ctx, r.all[n]); err != nil {
			return err
		}
	}
	return nil
}

// rest runs those that were not run yet.
func (r *rights) rest(ctx context.Context, s *loadSessions) error {
	for n, d := range r.all {
		if r.ran[n] {
			continue
		}
		if err := s.run(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// before makes the objects that rows and indexes need, and gives each its owner and the rights on it.
func (l *guardedLoader) before(ctx context.Context, s *loadSessions, rights *rights) error {
	if err := rights.give(ctx, s, "SCHEMA public"); err != nil { // it is there already
		return err
	}
	for _, d := range l.Definitions.before {
		if err := l.define(ctx, s, d); err != nil {
			return err
		}
		if object, _ := ownerChange(d.statement()); object != "" {
			if err := rights.give(ctx, s, object); err != nil {
				return err
			}
		}
	}
	return nil
}
