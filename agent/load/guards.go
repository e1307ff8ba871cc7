package load

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// guards are what guards the rows of tables and views: policies, row security, triggers, rules, some checks. Policies are
// made before rows are loaded; the rest of a table's, if there are several owners, as soon as its rows are. While
// code of owners runs, others than its owner have no rights on a table that still lacks rows or guards. Except for
// grantAgain, this is for the goroutine that goes through the stages, or for one that loads in its place.
type guards struct {
	owners   *owners
	logins   *logins
	rights   *rights
	maker    *maker
	progress *progress

	policies []dump.Definition
	forced   []dump.Definition // row security that is not set yet: all of it for an agent that is no superuser, else what binds owners too
	stands   []dump.Definition // what stands on rows, and is not made yet
	texts    map[string]string // what each of these statements guards, by its text
	definers map[string]bool   // functions that only their owners may call yet
	withheld map[string]bool   // tables and views on which others have no rights yet
}

// newGuards sorts the guards of a dump.
func newGuards(d *dump.Definitions, server postgres.Server) *guards {
	g := &guards{policies: d.Policies, forced: d.Forced, stands: d.After, texts: map[string]string{}, withheld: map[string]bool{}, definers: map[string]bool{}}
	if !server.Superuser { // row security may bind who loads the rows, and policies alone bind nobody
		policies, enabled := splitPolicies(d.Policies)
		g.policies, g.forced = policies, slices.Concat(enabled, d.Forced)
	}
	return g
}

// makePolicies makes policies, and sets those in force that do not bind who loads the rows.
func (g *guards) makePolicies(ctx context.Context, s *loadSessions) error {
	return g.maker.defineAll(ctx, s, g.policies)
}

// finish sets the row security that is not set yet.
func (g *guards) finish(ctx context.Context, s *loadSessions) error {
	return g.maker.defineAll(ctx, s, g.forced)
}

// guard gives tables what guards their rows, as soon as the rows of their whole tree are loaded, and views what guards
// theirs: other owners' code may run from then on. after is the table that was loaded last; with "" it looks at all.
// What can't be made yet is made later with the rest.
func (g *guards) guard(ctx context.Context, s *loadSessions, after string) error {
	if !g.owners.shared {
		return nil
	}
	var tree []string
	if after != "" {
		var err error
		if tree, err = s.catalog.treeOf(ctx, after); err != nil {
			return err
		}
	}
	var err error
	if g.forced, err = g.guardWith(ctx, s, g.forced, after, len(tree) > 1); err != nil {
		return err
	}
	g.stands, err = g.guardWith(ctx, s, g.stands, after, len(tree) > 1)
	return err
}

// guardWith runs the statements that guard what is ready, and returns the others. If a statement of a table has to
// wait, so do the table's later ones. Statements with literals of the database's own types come after all others:
// reading them may run code.
func (g *guards) guardWith(ctx context.Context, s *loadSessions, all []dump.Definition, after string, inTree bool) ([]dump.Definition, error) {
	done, ready, literal := make([]bool, len(all)), map[string]bool{}, g.withLiterals(all)
	for _, later := range []bool{false, true} {
		for n, d := range all {
			name := g.guardedBy(d)
			if name == "" || after != "" && name != after && !inTree || literal[name] != later {
				continue
			}
			if _, known := ready[name]; !known {
				var err error
				if ready[name], err = g.isLoaded(ctx, s, name); err != nil {
					return nil, err
				}
			}
			if !ready[name] {
				continue
			}
			err := g.maker.define(ctx, s, d)
			if content := (*dump.ContentError)(nil); err != nil && postgres.SQLState(err) == "" && !errors.As(err, &content) {
				return nil, err
			}
			done[n], ready[name] = err == nil, err == nil // it may need what comes later
		}
	}
	var rest []dump.Definition
	for n, d := range all {
		if !done[n] {
			rest = append(rest, d)
		}
	}
	return rest, nil
}

// withLiterals are the tables and views of which a guard holds such literals.
func (g *guards) withLiterals(all []dump.Definition) map[string]bool {
	names := map[string]bool{}
	for _, d := range all {
		if name := g.guardedBy(d); name != "" {
			st := d.Statement()
			names[name] = names[name] || len(st.LiteralTypes(st.Code().Words)) > 0
		}
	}
	return names
}

// guardedBy is what a statement guards. Each statement is read once.
func (g *guards) guardedBy(d dump.Definition) string {
	name, known := g.texts[d.SQL]
	if !known {
		name = guarded(d.Statement())
		g.texts[d.SQL] = name
	}
	return name
}

// guarded is the table or view whose rows a statement guards; "" if it guards none. Guards are triggers and rules with
// their states, row security, forced or not, and checks that only new rows have to meet.
func guarded(st dump.Statement) string {
	c := st.Code()
	toggles := (st.Does("TABLE", "ENABLE") || st.Does("TABLE", "DISABLE")) && (st.Find(3, "TRIGGER") > 0 || st.Find(3, "RULE") > 0)
	forces := st.Does("TABLE", "FORCE") || enables(st)
	isNew := st.Does("TABLE", "ADD") && strings.HasSuffix(st.SQL, "NOT VALID")
	made := st.Begins("CREATE", "RULE") || st.Begins("CREATE", "TRIGGER") || st.Begins("CREATE", "CONSTRAINT", "TRIGGER")
	if toggles || forces || isNew || made {
		return c.Name
	}
	return ""
}

// enables reports whether a statement sets row security for a table.
func enables(st dump.Statement) bool {
	return st.Does("TABLE", "ENABLE") && strings.HasSuffix(st.SQL, " ENABLE ROW LEVEL SECURITY")
}

// splitPolicies separates policies from what puts them in force.
func splitPolicies(all []dump.Definition) (policies, enabled []dump.Definition) {
	for _, d := range all {
		if enables(d.Statement()) {
			enabled = append(enabled, d)
		} else {
			policies = append(policies, d)
		}
	}
	return policies, enabled
}

// isLoaded reports whether a table exists and no table of its tree still waits for rows.
func (g *guards) isLoaded(ctx context.Context, s *loadSessions, name string) (bool, error) {
	tree, err := s.catalog.treeOf(ctx, name)
	if err != nil || len(tree) == 0 {
		return false, err // it is not there yet
	}
	waiting, err := s.catalog.oids(ctx, `SELECT p.name FROM pg_catalog.unnest($1::pg_catalog.text[]) AS p (name)
		WHERE pg_catalog.to_regclass(p.name)::pg_catalog.oid = ANY ($2::pg_catalog.oid[]) LIMIT 1`, textArray(g.progress.missing()), oidArray(tree))
	return len(waiting) == 0, err
}
