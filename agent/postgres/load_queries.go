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

// castsOf are the functions of casts between types that come with the columns of the tables $1, or with the types $2: these, what is within
// them and what is around them. An expression or a foreign key may call them where a dump does not show it. Who makes a cast owns one of its
// types, so what casts between the server's own is a superuser's.
const castsOf = `WITH RECURSIVE types (oid) AS (
		(SELECT t.oid FROM pg_catalog.unnest($2::pg_catalog.oid[]) AS t (oid)
			UNION SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0
			UNION SELECT c.reltype FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::pg_catalog.oid[]))
		UNION SELECT next.oid FROM types y JOIN pg_catalog.pg_type t ON t.oid = y.oid CROSS JOIN LATERAL (
			SELECT o.oid FROM (VALUES (t.typbasetype), (t.typelem), (t.typarray)) AS o (oid)
			UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0
			UNION ALL SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid
			UNION ALL SELECT d.refobjid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid
				AND d.refclassid = d.classid
			UNION ALL SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid = t.oid
				AND d.classid = d.refclassid AND d.deptype = 'i') AS next (oid) WHERE next.oid <> 0
	) SELECT c.castfunc, c.castsource, c.casttarget FROM pg_catalog.pg_cast c WHERE (c.castfunc >= 12000 OR c.castmethod = 'i' AND c.oid >= 12000)
	AND (c.castsource < 12000 OR c.castsource IN (SELECT t.oid FROM types t)) AND (c.casttarget < 12000 OR c.casttarget IN (SELECT t.oid FROM types t))`

// castsReach is what such casts may run.
func (l *guardedLoader) castsReach(ctx context.Context, s *loadSessions, tables, types []string) ([]reachedCode, error) {
	rows, err := s.query(ctx, castsOf, oidArray(tables), oidArray(types))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	var from start
	for _, row := range rows {
		if row[0] != "0" {
			from.functions = append(from.functions, row[0])
		} else {
			from.types = append(from.types, row[1], row[2]) // by their output and input
		}
	}
	return reachOfRows.find(ctx, s, from)
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
	casts, err := l.castsReach(ctx, s, []string{key.from.oid, key.to.oid}, nil)
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
