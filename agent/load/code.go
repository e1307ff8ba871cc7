package load

import (
	"context"
	"fmt"
	"strconv"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// codeFinder finds code of others than superusers that the server may run, along the dependencies in its catalog. It
// decides nothing: an empty result is "no such code".
type codeFinder struct {
	catalog catalog
	server  postgres.Server
}

// reachedCode is something that no superuser wrote and that the server may run.
type reachedCode struct {
	what  string // "function public.f"
	owner string
}

func (r reachedCode) String() string { return fmt.Sprintf("%s of %q", r.what, r.owner) }

// ask runs a query that returns the kind, schema, name and owner of code.
func (f codeFinder) ask(ctx context.Context, sql string, args ...string) ([]reachedCode, error) {
	rows, err := f.catalog.query(ctx, sql, args...)
	var found []reachedCode
	for _, row := range rows {
		found = append(found, reachedCode{what: row[0] + " " + row[1] + "." + row[2], owner: row[3]})
	}
	return found, err
}

// find returns the code of others than superusers that a way leads to.
func (f codeFinder) find(ctx context.Context, w reach, from start) ([]reachedCode, error) {
	kinds := "function,operator,domain,view"
	if w.columns {
		kinds += ",table" // all of an expression is computed, and not only its constant parts, which no function that does anything can be
	}
	code, err := f.ask(ctx, w.from()+` SELECT DISTINCT o.kind, o.schema, o.name, o.owner FROM reached r JOIN (`+codeObjects+`) o ON o.class = r.class AND o.oid = r.oid
		WHERE o.oid = ANY (ARRAY(SELECT r.oid FROM reached r)) AND o.kind = ANY (pg_catalog.string_to_array($4, ','))`, append(from.args(), kinds)...) // by their indexes
	if err != nil || len(code) > 0 || !w.deputies {
		return code, err
	}
	if code, err := f.ask(ctx, anyCode); err != nil || len(code) == 0 {
		return nil, err // there is nothing to run
	}
	if code, err := f.textRunners(ctx, w, from); err != nil || len(code) > 0 {
		return code, err
	}
	functions, err := f.functions(ctx, w, from)
	if err != nil {
		return nil, err
	}
	return f.deputies(ctx, functions)
}

// findAll does the same. If there is no such code, it returns what the types on the way may run although nothing names
// it. With columns, the types of the columns of tables on the way count too.
func (f codeFinder) findAll(ctx context.Context, way reach, from start, columns bool) ([]reachedCode, error) {
	found, err := f.find(ctx, way, from)
	if err != nil || len(found) > 0 {
		return found, err
	}
	rows, err := f.catalog.query(ctx, way.from()+` SELECT r.class, r.oid FROM reached r`, from.args()...)
	if err != nil {
		return nil, err
	}
	var tables, types []string
	for _, row := range rows {
		switch {
		case row[0] == classOfTypes:
			types = append(types, row[1])
		case row[0] == classOfTables && columns:
			tables = append(tables, row[1])
		}
	}
	return f.hiddenReach(ctx, way.deputies, tables, types)
}

// functions returns the functions that a way leads to and that are not the server's own.
func (f codeFinder) functions(ctx context.Context, w reach, from start) ([]string, error) {
	return f.catalog.oids(ctx, w.from()+` SELECT r.oid FROM reached r WHERE r.class = `+classOfFunctions, from.args()...)
}

// queryReaches is what planning a query of some tables or views may run, and for a view what running its query may.
// bySuperuser says that the superuser plans it.
func (f codeFinder) queryReaches(ctx context.Context, bySuperuser bool, tables ...string) ([]reachedCode, error) {
	return f.findAll(ctx, reachOfQuery.bySuperuser(bySuperuser), start{tables: tables}, false)
}

// viewReaches is what a query of a superuser's view may run, and what the types that it uses may.
func (f codeFinder) viewReaches(ctx context.Context, view string) ([]reachedCode, error) {
	way, from := reachOfQuery.bySuperuser(true), start{tables: []string{view}}
	found, err := f.findAll(ctx, way, from, true)
	if err != nil || len(found) > 0 {
		return found, err
	}
	return f.foreignTables(ctx, way, from)
}

// attachReaches is what making one table a partition of another may run. The bounds are values of the types of the
// partition key.
func (f codeFinder) attachReaches(ctx context.Context, bySuperuser bool, parent, child string) ([]reachedCode, error) {
	types, err := f.catalog.oids(ctx, `SELECT a.atttypid FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_attribute a
		ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs) WHERE p.partrelid = $1::pg_catalog.oid`, parent)
	if err != nil {
		return nil, err
	}
	return f.findAll(ctx, reachOfChange.bySuperuser(bySuperuser), start{tables: []string{parent, child}, types: types}, false)
}

// foreignTables are the foreign tables that a way leads to, if somebody other than a superuser owns the table or its
// server. Reading one asks whatever that server is now. It may be this one, with a superuser's right to log in.
func (f codeFinder) foreignTables(ctx context.Context, way reach, from start) ([]reachedCode, error) {
	tables, err := f.catalog.oids(ctx, way.from()+` SELECT r.oid FROM reached r WHERE r.class = `+classOfTables, from.args()...)
	if err != nil {
		return nil, err
	}
	return f.ask(ctx, `SELECT 'foreign table', n.nspname, c.relname, r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_foreign_table t ON t.ftrelid = c.oid JOIN pg_catalog.pg_foreign_server v ON v.oid = t.ftserver
		JOIN pg_catalog.pg_roles r ON r.oid IN (c.relowner, v.srvowner) WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND NOT `+trustedRole, oidArray(tables))
}

// guardedTables are the tables with row security that a way leads to.
func (f codeFinder) guardedTables(ctx context.Context, way reach, from start) ([]reachedCode, error) {
	tables, err := f.catalog.oids(ctx, way.from()+` SELECT r.oid FROM reached r WHERE r.class = `+classOfTables, from.args()...)
	if err != nil {
		return nil, err
	}
	return f.ask(ctx, `SELECT 'table', n.nspname, c.relname, r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND c.relrowsecurity`, oidArray(tables))
}

// first describes the first of what was found, after some words; "" if nothing was found.
func first(found []reachedCode, before string) string {
	if len(found) == 0 {
		return ""
	}
	return before + found[0].String()
}

// trustedRole reports whether a role r of pg_roles is a superuser or the session's own.
const trustedRole = `(r.rolsuper OR r.rolname = CURRENT_USER)`

// ofExtension reports whether an object is part of an extension.
const ofExtension = `EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = %s::pg_catalog.regclass AND e.objid = %s AND e.deptype = 'e')`

// codeObjects are the functions, operators, domains and views that no superuser wrote and that are not part of an
// extension, and such tables if they have expressions: kind, schema, name and owner. It is a subquery for FROM.
//
// An expression counts as its author's even if it calls only the server's own functions: some of these run any SQL, or
// do what only some roles may.
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

// anyCode is some code of others than superusers.
var anyCode = `SELECT o.kind, o.schema, o.name, o.owner FROM (` + codeObjects + `) o LIMIT 1`

// rowsRun is what loading a row of a table may run: code of others than superusers, and all functions that are not the
// server's own.
func (f codeFinder) rowsRun(ctx context.Context, table tableInfo) (code []reachedCode, functions []string, err error) {
	way, from := reachOfRows, start{tables: []string{table.oid}}
	way.parts, way.deputies = table.routed(), table.trusted
	if code, err = f.find(ctx, way, from); err != nil {
		return nil, nil, err
	}
	functions, err = f.functions(ctx, way, from)
	return code, functions, err
}

// changeable are the types of columns of the table $1, also within other types, that an owner other than its own, $2,
// may change while rows are loaded, so that reading a value runs a check: domains and row types. If the table is a
// superuser's, $3, all types count, since somebody may make a cast for them.
const changeable = `WITH RECURSIVE types (oid) AS (
		SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 12000
		UNION SELECT next.oid FROM types y JOIN pg_catalog.pg_type t ON t.oid = y.oid CROSS JOIN LATERAL (
			SELECT o.oid FROM (VALUES (t.typbasetype), (t.typelem)) AS o (oid)
			UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
			UNION ALL SELECT d.refobjid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid
				AND d.refclassid = d.classid) AS next (oid) WHERE next.oid >= 12000
	) SELECT 'type' AS kind, n.nspname, t.typname, r.rolname FROM types y JOIN pg_catalog.pg_type t ON t.oid = y.oid JOIN pg_catalog.pg_roles r ON r.oid = t.typowner
		JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
		WHERE ($3::pg_catalog.bool OR t.typtype IN ('d', 'c')) AND r.rolname <> $2 AND NOT ` + trustedRole + ` AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
			WHERE e.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND e.objid = t.oid AND e.deptype = 'e')`

// changeableBy returns such types, as the code that they may become.
func (f codeFinder) changeableBy(ctx context.Context, table tableInfo) ([]reachedCode, error) {
	return f.ask(ctx, changeable, table.oid, table.owner, strconv.FormatBool(table.trusted))
}
