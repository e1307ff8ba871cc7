package load

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// viewFiller fills materialized views.
type viewFiller struct {
	all    []dump.Definition
	owners *owners
	logins *logins
	paths  *pathRunner
}

// fill fills materialized views in their order, and again those that were not ready: one may use another, also by a
// function, which the order of a dump does not show. Rows that its owner does not see are not in a view, as before; a
// dump asks for an error instead.
func (v *viewFiller) fill(ctx context.Context, s *loadSessions, views []dump.Definition) error {
	for len(views) > 0 {
		var waiting []dump.Definition
		var why error
		for _, d := range views {
			d.Settings = dump.ReplaceSetting(d.Settings, "SET row_security", "SET row_security = on")
			err := v.fillOne(ctx, s, d)
			switch {
			case postgres.SQLState(err) == postgres.StateNotReady: // another is not filled yet
				waiting, why = append(waiting, d), err
			case err != nil:
				return fmt.Errorf("%s: %w", dump.FirstWords(d.SQL), err)
			}
		}
		if len(waiting) == len(views) {
			return fmt.Errorf("%s: %w", dump.FirstWords(waiting[0].SQL), why)
		}
		views = waiting
	}
	return nil
}

// fillOne fills a view by the login of its owner. If the owner may no longer find names in the view's schema, a login
// for this alone gets that right: the server runs the query as the owner and does not let it become anybody else, so no
// code gets to use the right.
func (v *viewFiller) fillOne(ctx context.Context, s *loadSessions, d dump.Definition) error {
	if !v.owners.mixed {
		return v.paths.run(ctx, s, sessionKey{}, d)
	}
	view, err := s.catalog.table(ctx, viewName(d))
	switch {
	case err != nil:
		return err
	case view.trusted:
		return v.paths.run(ctx, s, sessionKey{}, d)
	}
	as := sessionKey{owner: view.owner}
	err = v.paths.run(ctx, s, as, d)
	switch {
	case !refused(err):
		return err
	case !postgres.LacksLogin(err) && view.uses:
		return contentError(dump.FirstWords(d.SQL), view.owner, err)
	case postgres.LacksLogin(err):
		return v.fillPlain(ctx, s, d, view, err)
	}
	return v.logins.lending(ctx, s, as, []string{view.name}, nil, func(lent sessionKey) error {
		err := v.paths.runIn(ctx, s, lent, d, emptyPath)
		if postgres.NameNotFound(err) {
			err = v.paths.runIn(ctx, s, lent, d, v.owners.searchPath(as))
		}
		return err
	})
}

// fillPlain fills a view as the superuser because there is no login of its owner. The server runs the query as the
// owner, but the session is the superuser's: nothing in the query may ask whose session it is, neither code nor row
// security.
func (v *viewFiller) fillPlain(ctx context.Context, s *loadSessions, d dump.Definition, view tableInfo, refusal error) error {
	way, from := reachOfQuery, start{tables: []string{view.oid}}
	found, err := s.code.ask(ctx, way.from()+` SELECT o.kind, o.schema, o.name, o.owner FROM reached r JOIN (`+codeObjects+`) o ON o.class = r.class AND o.oid = r.oid
		WHERE o.kind IN ('function', 'operator', 'domain')`, from.args()...)
	if err == nil && len(found) == 0 {
		found, err = s.code.guardedTables(ctx, way, from)
	}
	if err == nil && len(found) == 0 {
		found, err = s.code.textRunners(ctx, way, from)
	}
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "it reads the " + found[0].String(), Err: refusal}
	}
	return v.paths.runIn(ctx, s, sessionKey{}, d, emptyPath)
}

// split separates the materialized views of superusers from the others, if the database has code of others.
func (v *viewFiller) split(ctx context.Context, s *loadSessions) (early, late []dump.Definition, err error) {
	if !v.owners.mixed {
		return nil, v.all, nil
	}
	for _, d := range v.all {
		view, err := s.catalog.table(ctx, viewName(d))
		if err != nil {
			return nil, nil, err
		}
		if !view.trusted {
			late = append(late, d)
			continue
		}
		reached, err := s.code.viewReaches(ctx, view.oid)
		if err != nil {
			return nil, nil, err
		}
		if len(reached) > 0 {
			return nil, nil, &dump.ContentError{Object: "materialized view " + view.name, Why: "it belongs to a superuser and runs the " + reached[0].String()}
		}
		early = append(early, d)
	}
	return early, late, nil
}

func viewName(d dump.Definition) string {
	words := dump.ReadWords(d.SQL, 3)
	return strings.TrimSpace(d.SQL[words[2].End:])
}
