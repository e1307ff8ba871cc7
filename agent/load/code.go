package load

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// tableInfo is what decides which session may load or change a table.
type tableInfo struct {
	oid, name string
	kind      string // relkind
	owner     string
	trusted   bool // the owner is a superuser, or is whoever restores: its code may do what this session may
	own       bool // it is no part of an extension
	code      bool // loading a row may run code that is not the server's: a check, a generated column, a type, the key of partitions
	creates   bool // its owner may create in its schema
	uses      bool // its owner may find names in its schema
	loads     bool // its owner may insert and truncate
	guarded   bool // it has row security
	refers    bool // a column holds names of objects, which are looked for with the rights of who loads the row
}

// routed reports whether rows that are loaded into the table go to its partitions.
func (t tableInfo) routed() bool { return t.kind == "p" }

// trustedRole reports whether a role r of pg_roles is a superuser or the session's own.
const trustedRole = `(r.rolsuper OR r.rolname = CURRENT_USER)`

// ofExtension reports whether an object is part of an extension.
const ofExtension = `EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = %s::pg_catalog.regclass AND e.objid = %s AND e.deptype = 'e')`

// codeObjects are the functions, operators, domains and views that were not written by superusers, and do not come with an
// extension, and the tables with expressions of theirs: kind, schema, name and owner. It is a table for FROM.
//
// An expression counts as its author's even where it calls the server's own functions alone: some of these run any SQL, or do what
// only some roles may.
var codeObjects = `SELECT 'function' AS kind, n.nspname AS schema, p.proname AS name, r.rolname AS owner, p.oid, 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AS class
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
		WHERE NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_proc'", "p.oid") + `
	UNION ALL SELECT 'operator', n.nspname, o.oprname, r.rolname, o.oid, 'pg_catalog.pg_operator'::pg_catalog.regclass
		FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace JOIN pg_catalog.pg_roles r ON r.oid = o.oprowner
		WHERE NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_operator'", "o.oid") + `
	UNION ALL SELECT 'domain', n.nspname, t.typname, r.rolname, t.oid, 'pg_catalog.pg_type'::pg_catalog.regclass
		FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace JOIN pg_catalog.pg_roles r ON r.oid = t.typowner
		WHERE t.typtype = 'd' AND NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_type'", "t.oid") + `
	UNION ALL SELECT 'view', n.nspname, c.relname, r.rolname, c.oid, 'pg_catalog.pg_class'::pg_catalog.regclass
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
		WHERE c.relkind IN ('v', 'm') AND NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_class'", "c.oid") + `
	UNION ALL SELECT 'table', n.nspname, c.relname, r.rolname, c.oid, 'pg_catalog.pg_class'::pg_catalog.regclass
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
		WHERE c.relkind IN ('r', 'p') AND NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_class'", "c.oid") + `
			AND (EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
				OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attgenerated <> '')
				OR EXISTS (SELECT FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid = c.oid AND p.partexprs IS NOT NULL))`

// tableFacts are those of the table $1, a name as it stands in a dump.
var tableFacts = `WITH RECURSIVE found AS (
		SELECT c.oid, c.relkind, c.relowner, c.relnamespace, c.relrowsecurity FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1::pg_catalog.text)
	), tables (oid) AS (
		SELECT oid FROM found UNION SELECT i.inhparent FROM tables t JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.oid
	) SELECT f.oid, r.rolname, ` + trustedRole + `::pg_catalog.text,
		(f.relkind IN ('r', 'p', 'm') AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_class'", "f.oid") + `)::pg_catalog.text,
		(EXISTS (SELECT FROM tables t JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.oid
				AND (p.partexprs IS NOT NULL OR EXISTS (SELECT FROM pg_catalog.unnest(p.partclass) AS k (class) WHERE k.class >= 12000)))
			OR EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = f.oid AND k.contype = 'c')
			OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped
				AND (a.attgenerated <> '' OR a.atttypid >= 12000)))::pg_catalog.text,
		pg_catalog.has_schema_privilege(f.relowner, f.relnamespace, 'CREATE')::pg_catalog.text,
		(pg_catalog.has_table_privilege(f.relowner, f.oid, 'INSERT') AND pg_catalog.has_table_privilege(f.relowner, f.oid, 'TRUNCATE'))::pg_catalog.text,
		f.relrowsecurity::pg_catalog.text, f.relkind,
		(EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid WHERE a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped
			AND a.atttypid < 12000 AND y.typname ~ '^_?reg'))::pg_catalog.text,
		pg_catalog.has_schema_privilege(f.relowner, f.relnamespace, 'USAGE')::pg_catalog.text
	FROM found f JOIN pg_catalog.pg_roles r ON r.oid = f.relowner`

// table asks for what decides about a table.
func (l *loader) table(ctx context.Context, s *loadSessions, name string) (tableInfo, error) {
	rows, err := s.query(ctx, tableFacts, name)
	if err != nil {
		return tableInfo{}, fmt.Errorf("table %s: %w", name, err)
	}
	if len(rows) == 0 {
		return tableInfo{}, fmt.Errorf("%w: table %s is not among its definitions", errNotDumped, name)
	}
	is := func(n int) bool { return rows[0][n] == "true" }
	return tableInfo{oid: rows[0][0], name: name, owner: rows[0][1], trusted: is(2), own: is(3), code: is(4),
		creates: is(5), loads: is(6), guarded: is(7), kind: rows[0][8], refers: is(9), uses: is(10)}, nil
}

// trust asks which of the roles that are to own something are superusers, or the session's own.
func (l *loader) trust(ctx context.Context, s *loadSessions) error {
	for _, role := range slices.Sorted(maps.Keys(l.Definitions.Owners)) {
		rows, err := s.query(ctx, `SELECT `+trustedRole+`::pg_catalog.text FROM pg_catalog.pg_roles r WHERE r.rolname = $1`, role)
		if err != nil {
			return err
		}
		l.trusted[role] = len(rows) > 0 && rows[0][0] == "true"
		l.several = l.several || l.mixed && !l.trusted[role]
		l.mixed = l.mixed || !l.trusted[role]
	}
	l.shared = l.mixed && len(l.trusted) > 1
	return l.findPaths(ctx, s)
}

// pathsOfRoles are the search paths that roles have in all databases.
const pathsOfRoles = `SELECT r.rolname, pg_catalog.substr(c.setting, 13) FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole,
	pg_catalog.unnest(s.setconfig) AS c (setting) WHERE s.setdatabase = 0 AND pg_catalog.starts_with(c.setting, 'search_path=')`

// findPaths looks for the search paths of the owners' own, which go before that of the database. A login has none of a role's settings.
func (l *loader) findPaths(ctx context.Context, s *loadSessions) error {
	if !l.mixed {
		return nil
	}
	rows, err := s.query(ctx, pathsOfRoles)
	for _, row := range rows {
		if l.Definitions.Owners[row[0]] {
			l.paths[row[0]] = row[1]
		}
	}
	maps.Copy(l.paths, l.RolePaths)
	return err
}
