package load

import (
	"context"
	"slices"
	"strconv"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// mayFillExtension refuses rows for what is no table of a superuser's extension: the superuser loads these, and who owns a table may have
// put something else in its place.
func (l *rowLoader) mayFillExtension(table tableInfo) error {
	if l.owners.mixed && (table.kind != "r" || !table.trusted) {
		return &dump.ContentError{Object: "table " + table.name, Why: "it is no table that the dump made, by now"}
	}
	return nil
}

// changeable are the types of columns of the table $1, also within other types, that an owner other than its own, $2, may change while rows are
// loaded, so that reading a value runs a check: domains and row types. Where the table is a superuser's, $3, all count: a cast may be made.
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

// changeableBy are such types, as the code that they may become.
func (f codeFinder) changeableBy(ctx context.Context, table tableInfo) ([]reachedCode, error) {
	return f.ask(ctx, changeable, table.oid, table.owner, strconv.FormatBool(table.trusted))
}

// oneOwner refuses rows that find their partition as they are loaded, where that runs code of others than the owner of all of them.
func oneOwner(ctx context.Context, s *loadSessions, table tableInfo, code []reachedCode) error {
	owners, err := s.catalog.treeOwners(ctx, table.oid)
	if err != nil {
		return err
	}
	others := slices.ContainsFunc(code, func(c reachedCode) bool { return c.owner != table.owner })
	if len(owners) > 1 || others {
		return &dump.ContentError{Object: "table " + table.name, Why: "its rows are loaded by way of it into partitions that several roles have a part in"}
	}
	return nil
}
