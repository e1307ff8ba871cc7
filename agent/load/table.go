package load

import (
	"context"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// tableInfo is what decides which session may load or change a table.
type tableInfo struct {
	oid, name string
	kind      string // relkind
	owner     string
	trusted   bool // the owner is a superuser, or the role that restores: its code may do what this session may
	own       bool // it is no part of an extension
	code      bool // loading a row may run code that is not the server's: a check, a generated column, a type, the key of partitions
	creates   bool // its owner may create in its schema
	uses      bool // its owner may find names in its schema
	loads     bool // its owner may insert and truncate
	guarded   bool // it has row security
	refers    bool // a column holds names of objects, which the server looks for with the rights of the role that loads the row
}

// routed reports whether rows that are loaded into the table go to its partitions.
func (t tableInfo) routed() bool { return t.kind == "p" }

// tableFacts are the facts about the table $1, a name as it stands in a dump.
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

// table returns what decides which session may load or change a table. errNotDumped says that there is no such table.
func (c catalog) table(ctx context.Context, name string) (tableInfo, error) {
	rows, err := c.query(ctx, tableFacts, name)
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

// treeOwners are the owners of the tables that are above or below some, these included.
func (c catalog) treeOwners(ctx context.Context, tables ...string) ([]string, error) {
	return c.oids(ctx, `WITH RECURSIVE tree (oid) AS (SELECT t.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS t (oid)
		UNION SELECT next.oid FROM tree t CROSS JOIN LATERAL (SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = t.oid
			UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = t.oid) AS next (oid))
		SELECT DISTINCT c.relowner FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid`, oidArray(tables))
}

// treeOf are the oids of a table and of all that are above or below it.
func (c catalog) treeOf(ctx context.Context, name string) ([]string, error) {
	return c.oids(ctx, treeFrom+` SELECT t.oid FROM tree t`, name)
}

// treeFrom begins a query about tree: the table $1, by its name, and all that are above or below it.
const treeFrom = `WITH RECURSIVE tree (oid) AS (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1::pg_catalog.text)
	UNION SELECT next.oid FROM tree t CROSS JOIN LATERAL (SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = t.oid
		UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = t.oid) AS next (oid))`

// places are the names that a table and the sequences of its columns leave when they move to another schema.
func (c catalog) places(ctx context.Context, table tableInfo) ([]string, error) {
	return c.oids(ctx, `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = $1::pg_catalog.oid OR c.relkind = 'S' AND c.oid IN (SELECT d.objid FROM pg_catalog.pg_depend d
			WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid AND d.refobjid = $1::pg_catalog.oid AND d.deptype IN ('a', 'i'))`, table.oid)
}

// relation is a table, a view, an index or a sequence, as the catalog has it.
type relation struct{ oid, name, kind, owner string }

// ofRelations asks for relations c; the condition that chooses them follows it.
const ofRelations = `SELECT c.oid, c.relname, c.relkind, r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE `

// goesAlong are the relations that move to another schema with the relation $1: its indexes, and the sequences of its
// columns.
const goesAlong = ofRelations + `c.oid IN (SELECT x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid = pg_catalog.to_regclass($1::pg_catalog.text))
	OR c.relkind = 'S' AND c.oid IN (SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
		AND d.refclassid = d.classid AND d.refobjid = pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid AND d.deptype IN ('a', 'i'))`

// relations runs a query that begins with ofRelations.
func (c catalog) relations(ctx context.Context, sql string, args ...string) ([]relation, error) {
	rows, err := c.query(ctx, sql, args...)
	var found []relation
	for _, row := range rows {
		found = append(found, relation{oid: row[0], name: row[1], kind: row[2], owner: row[3]})
	}
	return found, err
}

// named are the types that have a name, and the functions that have it or belong to an operator that begins as it does.
func (c catalog) named(ctx context.Context, name string, computed bool) (types, functions []string, err error) {
	schema, object := dump.SplitQualified(name)
	args := []string{dump.Unquoted(schema), dump.Unquoted(object)}
	types, err = c.oids(ctx, `SELECT t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND t.typname = $2`, args...)
	if err != nil || !computed {
		return types, nil, err
	}
	functions, err = c.oids(ctx, `SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.proname = $2
		UNION SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
			WHERE n.nspname = $1 AND $2::pg_catalog.text <> '' AND pg_catalog.starts_with($2::pg_catalog.text, pg_catalog.substr(o.oprname::pg_catalog.text, 1, 1))`, args...)
	return types, functions, err
}
