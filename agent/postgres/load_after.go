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
// The planner computes the constant parts of an index's condition whenever it plans a query of the table, as whoever plans
// it. So what plans queries as the superuser, foreign keys and the superusers' own materialized views, comes before the
// indexes that have conditions or expressions. An index is built, and a materialized view filled, by the server as the owner.
func (l *guardedLoader) after(ctx context.Context, s *loadSessions, all []definition) error {
	plain, late := splitLate(all)
	if err := l.makeAll(ctx, s, plain); err != nil {
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
	if err := l.makeAll(ctx, s, late); err != nil {
		return err
	}
	return l.fillViews(ctx, s, views, true)
}

// splitLate parts the statements that make indexes with expressions or conditions, and those that name these indexes, from
// the others.
func splitLate(all []definition) (plain, late []definition) {
	names := map[string]bool{}
	for _, d := range all {
		s := statement{sql: d.sql, words: readWords(d.sql, 0)}
		isLate := false
		if name, ok := lateIndex(s); ok {
			names[name], isLate = true, true
		} else {
			for _, w := range s.words {
				isLate = isLate || names[unquoted(lastPart(w))]
			}
		}
		if isLate {
			late = append(late, d)
		} else {
			plain = append(plain, d)
		}
	}
	return plain, late
}

// lastPart is the name in schema.name.
func lastPart(w word) string {
	if w.quoted {
		return w.text
	}
	return w.text[strings.LastIndexByte(w.text, '.')+1:]
}

// lateIndex says whether a statement makes an index with an expression or a condition, and how that is called.
func lateIndex(s statement) (name string, ok bool) {
	switch {
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
	return s.begins("ALTER", "TABLE") && s.find(3, "ADD") > 0 && s.find(3, "CONSTRAINT") > 0
}

// makeAll runs statements in their order, but those that build something one beside the other, up to the next that is
// neither that nor a remark on something that was built.
func (l *guardedLoader) makeAll(ctx context.Context, s *loadSessions, all []definition) error {
	var building, remarks []definition
	flush := func() error {
		if err := l.parallel(ctx, building, l.build); err != nil {
			return err
		}
		err := s.runAll(ctx, remarks)
		building, remarks = nil, nil
		return err
	}
	for _, d := range all {
		st := statement{sql: d.sql, words: readWords(d.sql, 0)}
		switch {
		case builds(st):
			building = append(building, d)
			continue
		case st.begins("COMMENT"), st.find(2, "CLUSTER") > 0, st.find(2, "REPLICA") > 0, st.begins("ALTER", "INDEX") && st.find(3, "ATTACH") < 0:
			remarks = append(remarks, d)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		run := s.run
		if st.begins("ALTER", "INDEX") && st.find(3, "ATTACH") > 0 {
			run = func(ctx context.Context, d definition) error { return l.attachIndex(ctx, s, d, st) }
		}
		if err := run(ctx, d); err != nil {
			return err
		}
	}
	return flush()
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

// build makes an index or a constraint.
func (l *guardedLoader) build(ctx context.Context, s *loadSessions, d definition) error {
	st := statement{sql: d.sql, words: readWords(d.sql, 0)}
	name := st.reference("ON", "USING")
	if st.begins("ALTER") {
		name = st.reference("TABLE", "ADD")
	}
	table, err := l.table(ctx, s, strings.TrimPrefix(name, "ONLY "))
	if err != nil {
		return err
	}
	key := sessionKey{}
	if st.begins("ALTER") && st.find(3, "CHECK") > 0 && !table.trusted {
		key.owner = table.owner // the server checks the rows as whoever asks for it
	}
	if table.trusted {
		if code := l.mentions(st); code != "" {
			return &ContentError{Object: firstWords(d.sql), Why: "table " + table.name + " belongs to a superuser, and this calls " + code + ", which does not"}
		}
		if err := l.checkOnPart(ctx, s, st, table); err != nil {
			return err
		}
	}
	err = l.runWithPaths(ctx, s, key, d, !table.trusted || !l.callable)
	if key.owner != "" {
		err = contentError(firstWords(d.sql), table.owner, err)
	}
	return err
}

// checkOnPart refuses a check on a superuser's table that others have parts of.
func (l *guardedLoader) checkOnPart(ctx context.Context, s *loadSessions, st statement, table tableInfo) error {
	if !st.begins("ALTER") || st.find(3, "CHECK") < 0 {
		return nil
	}
	return l.superusersOnly(ctx, s, table)
}

// runWithPaths runs a statement with an empty search path, as the dump asks for, and where its code does not find a name so,
// with that of the database.
func (l *guardedLoader) runWithPaths(ctx context.Context, s *loadSessions, key sessionKey, d definition, mayUsePath bool) error {
	session, err := s.session(ctx, key)
	if err != nil {
		return err
	}
	err = session.run(ctx, d)
	if err == nil || !NameNotFound(err) || !mayUsePath || l.SearchPath == "" {
		return err
	}
	key.withPath = true
	if session, err = s.session(ctx, key); err != nil {
		return err
	}
	return session.run(ctx, d)
}

// attachIndex makes an index a part of a partitioned one, for which the server reads the conditions of both.
func (l *guardedLoader) attachIndex(ctx context.Context, s *loadSessions, d definition, st statement) error {
	index, err := l.table(ctx, s, st.reference("INDEX", "ATTACH"))
	if err != nil {
		return err
	}
	if index.trusted {
		return s.run(ctx, d)
	}
	return l.runWithPaths(ctx, s, sessionKey{owner: index.owner}, d, true)
}

// foreignKeys makes them, several at a time.
func (l *guardedLoader) foreignKeys(ctx context.Context, s *loadSessions) error {
	asOwner, err := l.castsByOthers(ctx, s)
	if err != nil {
		return err
	}
	return l.parallel(ctx, l.Definitions.keys, func(ctx context.Context, s *loadSessions, d definition) error {
		key := sessionKey{}
		if asOwner {
			st := statement{sql: d.sql, words: readWords(d.sql, 0)}
			table, err := l.table(ctx, s, strings.TrimPrefix(st.reference("TABLE", "ADD"), "ONLY "))
			if err != nil {
				return err
			}
			if table.trusted {
				return &ContentError{Object: firstWords(d.sql), Why: "it may call a cast that no superuser wrote"}
			}
			key.owner = table.owner
		}
		var err error
		for range keyAttempts {
			if err = l.runWithPaths(ctx, s, key, d, false); sqlState(err) != stateDeadlock {
				break
			}
		}
		if key.owner != "" {
			err = contentError(firstWords(d.sql), key.owner, err)
		}
		return err
	})
}

// splitViews parts the materialized views of superusers from the others, where the database has code of others.
func (l *guardedLoader) splitViews(ctx context.Context, s *loadSessions) (early, late []definition, err error) {
	if len(l.code) == 0 {
		return nil, l.Definitions.refresh, nil
	}
	for _, d := range l.Definitions.refresh {
		view, err := l.table(ctx, s, viewName(d))
		if err != nil {
			return nil, nil, err
		}
		if !view.trusted {
			late = append(late, d)
			continue
		}
		if err := l.superusersOnly(ctx, s, view); err != nil {
			return nil, nil, err
		}
		early = append(early, d)
	}
	return early, late, nil
}

func viewName(d definition) string {
	words := readWords(d.sql, 3)
	return strings.TrimSpace(d.sql[words[2].end:])
}

// fillViews fills materialized views in their order: one may use another. The rows that their owners do not see are not in
// them, as they were not before; a dump asks for an error in the place of that.
func (l *guardedLoader) fillViews(ctx context.Context, s *loadSessions, views []definition, mayUsePath bool) error {
	for _, d := range slices.Clone(views) {
		d.settings = replaceSetting(d.settings, "SET row_security", "SET row_security = on")
		if err := l.runWithPaths(ctx, s, sessionKey{}, d, mayUsePath); err != nil {
			return err
		}
	}
	return nil
}
