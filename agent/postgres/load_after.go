package postgres

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// keyAttempts is how often a foreign key is tried that waits for others that wait for it.
const keyAttempts = 5

// after makes what stands on rows: indexes, constraints, triggers; then it fills materialized views.
//
// The planner computes the constant parts of an index's condition, and of statistics, whenever it plans a query of the table,
// as whoever plans it. So what plans queries as the superuser, foreign keys and the superusers' own materialized views, comes
// before the indexes and statistics that have any. An index is built, and a materialized view filled, by the server as the owner.
func (l *guardedLoader) after(ctx context.Context, s *loadSessions, all []definition, rights *rights) error {
	plain, late := splitLate(all)
	if err := l.makeAll(ctx, s, plain, rights); err != nil {
		return err
	}
	if err := l.foreignKeys(ctx, s); err != nil {
		return err
	}
	early, views, err := l.splitViews(ctx, s)
	if err != nil {
		return err
	}
	if err := l.fillViews(ctx, s, early, !l.callable); err != nil {
		return err
	}
	if err := l.makeAll(ctx, s, late, rights); err != nil {
		return err
	}
	if err := l.fillViews(ctx, s, views, true); err != nil {
		return err
	}
	return l.defineAll(ctx, s, l.Definitions.remarks)
}

// lateNames are what is made late: indexes, constraints, rules and triggers by their names, other objects as they are written.
type lateNames struct{ parts, objects map[string]bool }

// splitLate parts the statements that make indexes and statistics with expressions or conditions, and those that name these,
// from the others.
func splitLate(all []definition) (plain, late []definition) {
	names := lateNames{parts: map[string]bool{}, objects: map[string]bool{}}
	for _, d := range all {
		s := d.statement()
		name, isLate := lateIndex(s)
		if isLate {
			names.parts[name] = true
		} else if isLate = names.in(s); isLate {
			names.add(s)
		}
		if isLate {
			late = append(late, d)
		} else {
			plain = append(plain, d)
		}
	}
	return plain, late
}

// in says whether a statement needs what is late.
func (l lateNames) in(s statement) bool {
	about := namesParts(s)
	for n, w := range s.words {
		conflict := n > 1 && s.words[n-2].is("ON") && s.words[n-1].is("CONSTRAINT") // ON CONFLICT ON CONSTRAINT
		if (about || conflict) && l.parts[unquoted(lastPart(w))] {
			return true
		}
	}
	return len(l.objects) > 0 && slices.ContainsFunc(s.ownNames(s.words), func(name string) bool { return l.objects[name] })
}

// add takes what a late statement makes.
func (l lateNames) add(s statement) {
	switch at := s.createdAt(); {
	case at > 0:
		l.objects[s.qualifiedName(at)] = true
	case s.begins("CREATE", "RULE"), s.begins("CREATE", "TRIGGER"):
		l.parts[s.name(2)] = true
	case s.begins("CREATE", "CONSTRAINT", "TRIGGER"):
		l.parts[s.name(3)] = true
	case s.begins("CREATE", "INDEX"):
		l.parts[s.name(2)] = true
	case s.begins("CREATE", "UNIQUE", "INDEX"):
		l.parts[s.name(3)] = true
	}
}

// partKinds are the kinds of object that may be late and have a name in their table or schema alone.
var partKinds = []string{"INDEX", "STATISTICS", "RULE", "TRIGGER"}

// namesParts says whether a statement is about such an object. All others name columns, which may be called as these are.
func namesParts(s statement) bool {
	for _, kind := range partKinds {
		if s.begins("ALTER", kind) || s.begins("COMMENT", "ON", kind) {
			return true
		}
	}
	return slices.ContainsFunc([]string{"CLUSTER", "REPLICA", "ENABLE", "DISABLE"}, func(action string) bool { return s.does("TABLE", action) })
}

// lastPart is the name in schema.name.
func lastPart(w word) string {
	if w.quoted {
		return w.text
	}
	return w.text[strings.LastIndexByte(w.text, '.')+1:]
}

// lateIndex says whether a statement makes an index or statistics with an expression or a condition, and how that is called.
func lateIndex(s statement) (name string, ok bool) {
	switch {
	case s.begins("CREATE", "STATISTICS"):
		_, name := splitQualified(s.qualifiedName(2))
		return unquoted(name), anyOf(between(s.words, "ON", "FROM"), "(")
	case s.begins("CREATE", "INDEX"):
		name = s.name(2)
	case s.begins("CREATE", "UNIQUE", "INDEX"):
		name = s.name(3)
	case s.begins("ALTER", "TABLE") && s.find(3, "EXCLUDE") > 0:
		name = s.name(s.find(3, "CONSTRAINT") + 1)
	default:
		return "", false
	}
	depth := 0
	for _, w := range s.words {
		switch {
		case w.quoted:
		case w.text == "(":
			if depth++; depth > 1 {
				return name, true
			}
		case w.text == ")":
			depth--
		case w.is("WHERE"):
			return name, true
		}
	}
	return name, false
}

// builds says whether a statement reads all rows of a table to build something, and so is worth a session of its own.
func builds(s statement) bool {
	if s.begins("CREATE", "INDEX") || s.begins("CREATE", "UNIQUE", "INDEX") {
		return true
	}
	return s.does("TABLE", "ADD")
}

// makeAll runs statements in their order, but those that build something one beside the other, up to the next that is
// neither that nor a remark on something that was built. What gets its owner here has its rights before the next comes.
func (l *guardedLoader) makeAll(ctx context.Context, s *loadSessions, all []definition, rights *rights) error {
	var building, remarks []definition
	flush := func() error {
		if err := l.parallel(ctx, building, l.define); err != nil {
			return err
		}
		err := l.defineAll(ctx, s, remarks)
		building, remarks = nil, nil
		return err
	}
	for _, d := range all {
		st := d.statement()
		switch {
		case builds(st):
			building = append(building, d)
			continue
		case st.begins("COMMENT"), st.does("TABLE", "CLUSTER"), st.does("TABLE", "REPLICA"), st.begins("ALTER", "INDEX") && !st.does("INDEX", "ATTACH"):
			remarks = append(remarks, d)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		if err := l.define(ctx, s, d); err != nil {
			return err
		}
		if object, _ := ownerChange(st); object != "" {
			if err := rights.give(ctx, s, object); err != nil {
				return err
			}
		}
	}
	return flush()
}

// defineAll runs statements in their order.
func (l *guardedLoader) defineAll(ctx context.Context, s *loadSessions, all []definition) error {
	for _, d := range all {
		if err := l.define(ctx, s, d); err != nil {
			return err
		}
	}
	return nil
}

// parallel runs statements over several sessions.
func (l *guardedLoader) parallel(ctx context.Context, all []definition, run func(context.Context, *loadSessions, definition) error) error {
	if len(all) == 0 {
		return nil
	}
	tasks := make(chan definition, len(all))
	for _, d := range all {
		tasks <- d
	}
	close(tasks)
	group, ctx := errgroup.WithContext(ctx)
	for range min(max(l.Jobs, 1), len(all)) {
		group.Go(func() error {
			sessions := l.newSessions()
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
