package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// foreignKey is one that is to be made, with what planning its query may run.
type foreignKey struct {
	definition
	from, to tableInfo
	reaches  []reachedCode
}

// foreignKeys makes them, several at a time: first those that run nobody's code, and when these are made the others, as the owner of
// the table that has the key. So no code runs beside what the superuser does.
func (l *guardedLoader) foreignKeys(ctx context.Context, s *loadSessions) error {
	var asOwner []definition
	plain := l.Definitions.keys
	owners := map[string]string{} // by the statement
	if l.mixed {
		plain = nil
		for _, d := range l.Definitions.keys {
			key, err := l.foreignKey(ctx, s, d)
			if err != nil {
				return err
			}
			if len(key.reaches) == 0 {
				plain = append(plain, d)
				continue
			}
			if err := onlyOwn(key); err != nil {
				return err
			}
			owners[d.sql] = key.from.owner
			asOwner = append(asOwner, d)
		}
	}
	make := func(ctx context.Context, s *loadSessions, d definition) error {
		return l.makeKey(ctx, s, sessionKey{owner: owners[d.sql]}, d)
	}
	if err := l.parallel(ctx, plain, make); err != nil {
		return err
	}
	return l.parallel(ctx, asOwner, make)
}

// makeKey makes a foreign key. One may wait for another that waits for it.
func (l *guardedLoader) makeKey(ctx context.Context, s *loadSessions, key sessionKey, d definition) error {
	var err error
	for range keyAttempts {
		if err = l.runWithPaths(ctx, s, key, d); sqlState(err) != stateDeadlock {
			break
		}
	}
	if key.owner != "" {
		err = contentError(firstWords(d.sql), key.owner, err)
	}
	return err
}

// foreignKey looks at the tables of a foreign key.
func (l *guardedLoader) foreignKey(ctx context.Context, s *loadSessions, d definition) (foreignKey, error) {
	key, st := foreignKey{definition: d}, d.statement()
	var err error
	if key.from, err = l.table(ctx, s, strings.TrimPrefix(st.reference("TABLE", "ADD"), "ONLY ")); err != nil {
		return key, err
	}
	if key.to, err = l.table(ctx, s, st.qualifiedName(st.find(3, "REFERENCES")+1)); err != nil {
		return key, err
	}
	if key.reaches, err = l.queryReaches(ctx, s, key.from.oid, key.to.oid); err != nil {
		return key, err
	}
	casts, err := l.hiddenReach(ctx, s, []string{key.from.oid, key.to.oid}, nil)
	key.reaches = append(key.reaches, casts...)
	return key, err
}

// onlyOwn refuses a foreign key that would run code of somebody else than the owner of its table.
func onlyOwn(key foreignKey) error {
	others := slices.IndexFunc(key.reaches, func(r reachedCode) bool { return r.owner != key.from.owner })
	if others >= 0 {
		return &ContentError{Object: firstWords(key.sql), Why: "it belongs to " + fmt.Sprintf("%q", key.from.owner) + " and runs the " + key.reaches[others].String()}
	}
	return nil
}

// splitViews parts the materialized views of superusers from the others, where the database has code of others.
func (l *guardedLoader) splitViews(ctx context.Context, s *loadSessions) (early, late []definition, err error) {
	if !l.mixed {
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
		reached, err := l.viewReaches(ctx, s, view.oid)
		if err != nil {
			return nil, nil, err
		}
		if len(reached) > 0 {
			return nil, nil, &ContentError{Object: "materialized view " + view.name, Why: "it belongs to a superuser and runs the " + reached[0].String()}
		}
		early = append(early, d)
	}
	return early, late, nil
}

func viewName(d definition) string {
	words := readWords(d.sql, 3)
	return strings.TrimSpace(d.sql[words[2].end:])
}
