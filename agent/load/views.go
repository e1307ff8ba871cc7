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

// fillView fills one by the login of its owner. Where the login is refused, the superuser fills it: the server runs the query as the view's
// owner, whoever asks for it.
func (l *loader) fillView(ctx context.Context, s *loadSessions, d dump.Definition) error {
	if !l.mixed {
		return l.runWithPaths(ctx, s, sessionKey{}, d)
	}
	view, err := l.table(ctx, s, viewName(d))
	switch {
	case err != nil:
		return err
	case view.trusted:
		return l.runWithPaths(ctx, s, sessionKey{}, d)
	}
	as := sessionKey{owner: view.owner}
	if err = l.runWithPaths(ctx, s, as, d); !refused(err) {
		return err
	}
	err = l.runIn(ctx, s, sessionKey{}, d, emptyPath)
	if postgres.NameNotFound(err) {
		err = l.runIn(ctx, s, sessionKey{}, d, l.searchPath(as))
	}
	return err
}
