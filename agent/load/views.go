package load

import (
	"context"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// fillViews fills materialized views in their order: one may use another, also by a function, which the order of a dump does not show. The
// rows that their owners do not see are not in them, as they were not before; a dump asks for an error in the place of that.
func (l *loader) fillViews(ctx context.Context, s *loadSessions, views []dump.Definition) error {
	for len(views) > 0 {
		var waiting []dump.Definition
		var why error
		for _, d := range views {
			d.Settings = dump.ReplaceSetting(d.Settings, "SET row_security", "SET row_security = on")
			err := l.fillView(ctx, s, d)
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

// fillView fills one by the login of its owner. An owner that may find no names in the view's schema any more gets that right for a login of
// its own: the server runs the query as the owner, who can't be anybody else in it, so that no code gets at the right.
func (l *loader) fillView(ctx context.Context, s *loadSessions, d dump.Definition) error {
	if !l.owners.mixed {
		return l.paths.run(ctx, s, sessionKey{}, d)
	}
	view, err := s.catalog.table(ctx, viewName(d))
	switch {
	case err != nil:
		return err
	case view.trusted:
		return l.paths.run(ctx, s, sessionKey{}, d)
	}
	as := sessionKey{owner: view.owner}
	err = l.paths.run(ctx, s, as, d)
	switch {
	case !refused(err):
		return err
	case !postgres.LacksLogin(err) && view.uses:
		return contentError(dump.FirstWords(d.SQL), view.owner, err)
	case postgres.LacksLogin(err):
		return l.fillPlain(ctx, s, d, view, err)
	}
	return l.logins.lending(ctx, s, as, []string{view.name}, nil, func(lent sessionKey) error {
		err := l.paths.runIn(ctx, s, lent, d, emptyPath)
		if postgres.NameNotFound(err) {
			err = l.paths.runIn(ctx, s, lent, d, l.owners.searchPath(as))
		}
		return err
	})
}

// fillPlain fills one as the superuser because no login of its owner is to be had. The server runs the query as the owner, but in a session
// that is the superuser's: nothing in it may ask whose that is, neither code nor row security.
func (l *loader) fillPlain(ctx context.Context, s *loadSessions, d dump.Definition, view tableInfo, refusal error) error {
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
	return l.paths.runIn(ctx, s, sessionKey{}, d, emptyPath)
}
