package postgres

import (
	"context"
	"fmt"
)

// typeFacts are all types that may be a domain or hold one, and what each is made of: its oid, whether it is a domain, and
// the types of its elements, its base, its range or its columns.
const typeFacts = `SELECT t.oid, (t.typtype = 'd')::pg_catalog.text, part.oid FROM pg_catalog.pg_type t LEFT JOIN LATERAL (
		SELECT t.typelem AS oid WHERE t.typelem <> 0 UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0
		UNION ALL SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid
		%s
		UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
	) part ON true WHERE t.oid >= 12000`

const typesOfMultiranges = `UNION ALL SELECT g.rngtypid FROM pg_catalog.pg_range g WHERE t.typtype = 'm' AND g.rngmultitypid = t.oid`

// checkedTypes are types by oid, with whether a value of one goes through the check of a domain.
type checkedTypes map[string]bool

// haveChecks says whether a value of one of the types goes through the check of a domain. The types are read anew where one
// is not known yet.
func (l *guardedLoader) haveChecks(ctx context.Context, s *loadSessions, types []string) (bool, error) {
	l.mu.Lock()
	known := l.types
	l.mu.Unlock()
	for _, oid := range types {
		if _, ok := known[oid]; ok {
			continue
		}
		var err error
		if known, err = l.readTypes(ctx, s); err != nil {
			return false, err
		}
		l.mu.Lock()
		l.types = known
		l.mu.Unlock()
		break
	}
	for _, oid := range types {
		if known[oid] {
			return true, nil
		}
	}
	return false, nil
}

func (l *guardedLoader) readTypes(ctx context.Context, s *loadSessions) (checkedTypes, error) {
	multiranges := typesOfMultiranges
	if l.server.Number < 140000 { // which has none
		multiranges = ""
	}
	rows, err := s.query(ctx, fmt.Sprintf(typeFacts, multiranges))
	if err != nil {
		return nil, err
	}
	types, parts := checkedTypes{}, graph{}
	for _, row := range rows {
		types[row[0]] = types[row[0]] || row[1] == "true"
		parts[row[0]] = append(parts[row[0]], row[2])
	}
	for oid := range types {
		types[oid] = parts.find(oid, func(part string) bool { return types[part] }) != ""
	}
	return types, nil
}

// graph says for each thing which others it uses.
type graph map[string][]string

// find returns the first thing that can be reached from one, itself included, and is wanted; "" where there is none.
func (g graph) find(from string, wanted func(string) bool) string {
	seen, next := map[string]bool{from: true}, []string{from}
	for len(next) > 0 {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		if wanted(at) {
			return at
		}
		for _, used := range g[at] {
			if used != "" && !seen[used] {
				seen[used] = true
				next = append(next, used)
			}
		}
	}
	return ""
}

// uses are the dependencies along which code is called when a row is loaded or a materialized view is filled, each thing as
// the oid of its catalog and its own: of a table to its checks, generated columns, types and the tables that it is a part of;
// of a view to what its query uses.
const uses = `SELECT d.classid || ':' || d.objid, d.refclassid || ':' || d.refobjid FROM pg_catalog.pg_depend d
		LEFT JOIN pg_catalog.pg_class c ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.refobjid
		WHERE d.refobjid >= 12000 AND d.refclassid = ANY (ARRAY['pg_catalog.pg_type', 'pg_catalog.pg_proc', 'pg_catalog.pg_operator', 'pg_catalog.pg_class']::pg_catalog.regclass[])
			AND (c.oid IS NULL OR c.relkind IN ('v', 'm'))
	UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid || ':' || conrelid, 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid || ':' || oid
		FROM pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid <> 0
	UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid || ':' || contypid, 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid || ':' || oid
		FROM pg_catalog.pg_constraint WHERE contypid <> 0
	UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid || ':' || f.adrelid, 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid || ':' || f.oid
		FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum WHERE a.attgenerated <> ''
	UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid || ':' || w.ev_class, 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid || ':' || w.oid
		FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_class c ON c.oid = w.ev_class WHERE c.relkind IN ('v', 'm') AND w.oid >= 12000
	UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid || ':' || inhrelid, 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid || ':' || inhparent
		FROM pg_catalog.pg_inherits
	UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid || ':' || t.oid, 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid || ':' || a.atttypid
		FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped WHERE t.typtype = 'c' AND a.atttypid >= 12000
	UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid || ':' || t.oid, 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid || ':' || t.typelem
		FROM pg_catalog.pg_type t WHERE t.typelem >= 12000`

// othersCode names code that no superuser wrote and that is called when a table is loaded or a materialized view is filled:
// "function s.f of "role""; "" where there is none.
func (l *guardedLoader) othersCode(ctx context.Context, s *loadSessions, table string) (string, error) {
	rows, err := s.query(ctx, uses)
	if err != nil {
		return "", err
	}
	g := graph{}
	for _, row := range rows {
		g[row[0]] = append(g[row[0]], row[1])
	}
	rows, err = s.query(ctx, `SELECT o.class || ':' || o.oid, o.kind, o.schema, o.name, o.owner FROM (`+codeObjects+`) o
		UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid || ':' || c.oid, 'table', n.nspname, c.relname, r.rolname
			FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
			WHERE c.relkind IN ('r', 'p') AND NOT `+trustedRole)
	if err != nil {
		return "", err
	}
	others := map[string]string{}
	for _, row := range rows {
		others[row[0]] = fmt.Sprintf("%s %s.%s of %q", row[1], row[2], row[3], row[4])
	}
	return others[g.find(classOfTables+":"+table, func(at string) bool { return others[at] != "" })], nil
}

// classOfTables is the oid of pg_class.
const classOfTables = "1259"
