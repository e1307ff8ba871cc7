package load

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// keyAttempts is how often a foreign key is tried that waits for others that wait for it.
const keyAttempts = 5

// after makes what stands on rows: indexes, constraints, triggers; then it fills materialized views.
//
// The planner computes the constant parts of an index's condition, and of statistics, whenever it plans a query of the table,
// as whoever plans it. So what plans queries as the superuser, foreign keys and the superusers' own materialized views, comes
// before the indexes and statistics that have any. An index is built, and a materialized view filled, by the server as the owner.
func (l *loader) after(ctx context.Context, s *loadSessions, all []dump.Definition, rights *rights) error {
	plain, late := dump.SplitLate(all)
	if err := l.makeAll(ctx, s, plain, rights); err != nil {
		return err
	}
	if err := l.giveBack(ctx, s, ""); err != nil {
		return err
	}
	if err := l.foreignKeys(ctx, s); err != nil {
		return err
	}
	early, views, err := l.splitViews(ctx, s)
	if err != nil {
		return err
	}
	if err := l.fillViews(ctx, s, early); err != nil {
		return err
	}
	if err := l.makeAll(ctx, s, late, rights); err != nil {
		return err
	}
	if err := l.fillViews(ctx, s, views); err != nil {
		return err
	}
	return l.defineAll(ctx, s, l.Definitions.Remarks)
}

// builds reports whether a statement reads all rows of a table to build something, and so is worth a session of its own.
func builds(s dump.Statement) bool {
	if s.Begins("CREATE", "INDEX") || s.Begins("CREATE", "UNIQUE", "INDEX") {
		return true
	}
	return s.Does("TABLE", "ADD")
}

// makeAll runs statements in their order, but those that build something one beside the other, up to the next that is
// neither that nor a remark on something that was built. What gets its owner here has its rights before the next comes.
func (l *loader) makeAll(ctx context.Context, s *loadSessions, all []dump.Definition, rights *rights) error {
	var building, remarks []dump.Definition
	flush := func() error {
		if err := l.build(ctx, s, building); err != nil {
			return err
		}
		err := l.defineAll(ctx, s, remarks)
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
		if err := l.define(ctx, s, d); err != nil {
			return err
		}
		if object, _ := dump.OwnerChange(st); object != "" {
			if err := rights.give(ctx, s, object); err != nil {
				return err
			}
		}
	}
	return flush()
}

// defineAll runs statements in their order.
func (l *loader) defineAll(ctx context.Context, s *loadSessions, all []dump.Definition) error {
	for _, d := range all {
		if err := l.define(ctx, s, d); err != nil {
			return err
		}
	}
	return nil
}

// parallel runs statements over several sessions.
func (l *loader) parallel(ctx context.Context, all []dump.Definition, run func(context.Context, *loadSessions, dump.Definition) error) error {
	if len(all) == 0 {
		return nil
	}
	tasks := make(chan dump.Definition, len(all))
	for _, d := range all {
		tasks <- d
	}
	close(tasks)
	group, ctx := errgroup.WithContext(ctx)
	for range min(max(l.Jobs, 1), len(all)) {
		group.Go(func() error {
			sessions := l.source.sessions()
			defer sessions.close(ctx)
			for d := range tasks {
				if err := run(ctx, sessions, d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
