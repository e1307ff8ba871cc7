package load

import "context"

// typesOf begins a query about types: the types of columns of the tables $1, the types $2, what is within these and
// what is around them.
const typesOf = `WITH RECURSIVE types (oid) AS (
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
	)`

// typesAround is how typesOf calls what it finds.
const typesAround = "types"

// castsOf are the functions of casts between such types. An expression or a foreign key may call them where a dump does
// not show it. Only who owns one of its types can make a cast, so a cast between the server's own types is a
// superuser's.
const castsOf = typesOf + ` SELECT c.castfunc, c.castsource, c.casttarget FROM pg_catalog.pg_cast c WHERE (c.castfunc >= 12000 OR c.castmethod = 'i' AND c.oid >= 12000)
	AND (c.castsource < 12000 OR c.castsource IN (SELECT t.oid FROM ` + typesAround + ` t)) AND (c.casttarget < 12000 OR c.casttarget IN (SELECT t.oid FROM ` + typesAround + ` t))`

// classesOf are the functions that compare such types, and those of their operators: rows and arrays find the operator
// class of what is in them when they are compared. A superuser makes these classes, and may name anybody's functions.
const classesOf = typesOf + ` SELECT m.amproc::pg_catalog.oid FROM pg_catalog.pg_opclass x JOIN pg_catalog.pg_amproc m ON m.amprocfamily = x.opcfamily
		WHERE x.opcintype IN (SELECT t.oid FROM ` + typesAround + ` t) AND m.amproc::pg_catalog.oid >= 12000
	UNION SELECT p.oprcode::pg_catalog.oid FROM pg_catalog.pg_opclass x JOIN pg_catalog.pg_amop m ON m.amopfamily = x.opcfamily JOIN pg_catalog.pg_operator p ON p.oid = m.amopopr
		WHERE x.opcintype IN (SELECT t.oid FROM ` + typesAround + ` t) AND p.oprcode::pg_catalog.oid >= 12000`

// hiddenReach is what the types of tables, and other types, may run although nothing names it: casts, and the functions
// that compare values.
func (f codeFinder) hiddenReach(ctx context.Context, bySuperuser bool, tables, types []string) ([]reachedCode, error) {
	rows, err := f.catalog.query(ctx, castsOf, oidArray(tables), oidArray(types))
	if err != nil {
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
	if len(rows) > 0 {
		found, err := f.find(ctx, reachOfRows.bySuperuser(bySuperuser), from)
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	functions, err := f.catalog.oids(ctx, classesOf, oidArray(tables), oidArray(types))
	if err != nil || len(functions) == 0 {
		return nil, err
	}
	return f.find(ctx, reachOfInput.bySuperuser(bySuperuser), start{functions: functions})
}
