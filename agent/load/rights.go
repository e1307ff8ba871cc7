package load

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// rights are the grants of a dump. Those on an object are given as soon as it has its owner, since code may run before
// all objects are made; the rest when all are.
type rights struct {
	all []dump.Definition
	of  map[string][]int // by "FUNCTION public.f()": positions in all
	ran []bool
	// routines are the objects that are functions to GRANT, by their name without arguments.
	routines map[string][]string
	// foreign are the objects that the dump does not make: the server's own, and those of extensions.
	foreign []string
	// postponed are those that get their owner after the rows.
	postponed map[string]bool
}

// newRights takes the grants of a dump.
func newRights(d *dump.Definitions) *rights {
	r := &rights{all: d.Rights, of: map[string][]int{}, ran: make([]bool, len(d.Rights)), routines: map[string][]string{}, postponed: map[string]bool{}}
	for n, grant := range r.all {
		object := grantedOn(grant)
		if object == "" {
			continue
		}
		if r.of[object] == nil && !d.Owned[object] {
			r.foreign = append(r.foreign, object)
		}
		if name := routineName(object); r.of[object] == nil && name != "" {
			r.routines[name] = append(r.routines[name], object)
		}
		r.of[object] = append(r.of[object], n)
	}
	for _, late := range d.After {
		object, _ := dump.OwnerChange(late.Statement())
		if object != "" {
			r.postponed[dump.InGrants(object)] = true
		}
		if strings.HasPrefix(object, "AGGREGATE ") {
			for _, one := range r.routines[routineName(object)] {
				r.postponed[one] = true
			}
		}
	}
	return r
}

// grantedOn is the object of a GRANT or REVOKE.
func grantedOn(d dump.Definition) string {
	return dump.InGrants(d.Statement().Reference("ON", "TO", "FROM"))
}

// routineName is the name of an aggregate, or of what is a function to GRANT; "" for other objects.
func routineName(object string) string {
	st := dump.Statement{SQL: object, Words: dump.ReadWords(object, 0)}
	if !st.Begins("AGGREGATE") && !st.Begins("FUNCTION") {
		return ""
	}
	return st.QualifiedName(1)
}

// give runs the grants on an object that got its owner. GRANT writes the arguments of an aggregate in another way than
// ALTER, which has * and ORDER BY, so for an aggregate it runs those on all functions of that name. Grants on a domain
// wait for the rest: roles that may not use it any more may have tables with it.
func (r *rights) give(ctx context.Context, s *loadSessions, object string) error {
	if strings.HasPrefix(object, "DOMAIN ") {
		return nil
	}
	if strings.HasPrefix(object, "AGGREGATE ") {
		return r.try(ctx, s, r.routines[routineName(object)])
	}
	for _, n := range r.of[dump.InGrants(object)] {
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

// on are the grants on an object.
func (r *rights) on(object string) []dump.Definition {
	var grants []dump.Definition
	for _, n := range r.of[object] {
		grants = append(grants, r.all[n])
	}
	return grants
}

// ofForeign runs the grants on objects that the dump does not make, if they exist by now: no code may run before that.
func (r *rights) ofForeign(ctx context.Context, s *loadSessions) error {
	return r.try(ctx, s, r.foreign)
}

// try runs the grants on those of some objects that exist.
func (r *rights) try(ctx context.Context, s *loadSessions, objects []string) error {
	for _, object := range objects {
		for _, n := range r.of[object] {
			if r.ran[n] {
				continue
			}
			err := s.run(ctx, r.all[n])
			if err != nil && postgres.SQLState(err) == "" {
				return err
			}
			if err != nil {
				break // it is not there yet
			}
			r.ran[n] = true
		}
	}
	return nil
}

// rest runs the grants that were not run yet. Unless it is the last time, it leaves those on what is still to be made.
func (r *rights) rest(ctx context.Context, s *loadSessions, last bool) error {
	for n, d := range r.all {
		if r.ran[n] || !last && r.postponed[grantedOn(d)] {
			continue
		}
		r.ran[n] = true
		if err := s.run(ctx, d); err != nil {
			return err
		}
	}
	return nil
}
