package load

import (
	"fmt"
	"strings"
)

// reach is a way along the catalog's dependencies from tables and types to the code that the server may call.
type reach struct {
	// columns: through the types of columns, checks and generated columns, as a row is loaded.
	columns bool
	// checks: also through the checks of tables.
	checks bool
	// parts: also down to the partitions. It goes up to what a table is a part of in any case.
	parts bool
	// plans: through what the planner looks at, indexes and statistics, and from a query to its tables.
	plans bool
	// casts: to the casts and operator classes of types. Some functions look for these, of the type that they are given, when they are run.
	casts bool
	// alone: neither up nor down, but what the table has itself.
	alone bool
	// deputies: superusers' functions that may run what others made count too. It is for what the superuser would run.
	deputies bool
}

// bySuperuser is the same way, to what the superuser must not run.
func (w reach) bySuperuser(is bool) reach {
	w.deputies = is
	return w
}

// The ways that are asked for. What changes a table may compute constant parts of what is on it and its parts.
var (
	reachOfRows   = reach{columns: true, checks: true, casts: true}
	reachOfInput  = reach{columns: true, checks: true} // of a literal
	reachOfTree   = reach{parts: true}
	reachOfQuery  = reach{parts: true, plans: true}
	reachOfChange = reach{checks: true, parts: true, plans: true}
)

// edges are the ways from one thing r to the next, each a class of the catalog and an oid.
func (w reach) edges() string {
	const class = `'pg_catalog.%s'::pg_catalog.regclass::pg_catalog.oid`
	in := func(catalog string) string { return fmt.Sprintf(class, catalog) }
	onTable := "d.objsubid = 0" // the expressions of partitions
	kinds := "'v', 'm'"
	if w.columns {
		onTable = "true"
	}
	if w.plans {
		kinds = "'v', 'm', 'r', 'p', 'f'"
	}
	all := []string{
		`SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d WHERE d.classid = r.class AND d.objid = r.oid AND d.refobjid >= 12000
			AND d.refclassid IN (` + in("pg_type") + `, ` + in("pg_proc") + `, ` + in("pg_operator") + `, ` + in("pg_opclass") + `)
			AND (r.class <> ` + in("pg_class") + ` OR ` + onTable + `)`,
		`SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind IN (` + kinds + `)
			WHERE r.class IN (` + in("pg_rewrite") + `, ` + in("pg_proc") + `) AND d.classid = r.class AND d.objid = r.oid AND d.refclassid = ` + in("pg_class"),
		`SELECT ` + in("pg_constraint") + `, k.oid FROM pg_catalog.pg_constraint k WHERE r.class = ` + in("pg_type") + ` AND k.contypid = r.oid`,
		`SELECT ` + in("pg_type") + `, a.atttypid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid
			WHERE r.class = ` + in("pg_type") + ` AND t.oid = r.oid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 12000`,
		`SELECT ` + in("pg_operator") + `, m.amopopr FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_amop m ON m.amopfamily = o.opcfamily WHERE r.class = ` + in("pg_opclass") + ` AND o.oid = r.oid`,
		`SELECT ` + in("pg_proc") + `, m.amproc::pg_catalog.oid FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_amproc m ON m.amprocfamily = o.opcfamily WHERE r.class = ` + in("pg_opclass") + ` AND o.oid = r.oid`,
	}
	generated := `SELECT ` + in("pg_attrdef") + `, f.oid FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
			WHERE r.class = ` + in("pg_class") + ` AND f.adrelid = r.oid AND a.attgenerated `
	switch {
	case w.columns:
		all = append(all, generated+`<> ''`)
	case w.plans:
		all = append(all, generated+`= 'v'`) // it is computed as it is read
	}
	if w.casts {
		all = append(all, `SELECT `+in("pg_proc")+`, c.castfunc FROM pg_catalog.pg_cast c WHERE r.class = `+in("pg_type")+` AND r.oid IN (c.castsource, c.casttarget) AND c.castfunc >= 12000`,
			`SELECT `+in("pg_opclass")+`, o.oid FROM pg_catalog.pg_opclass o WHERE r.class = `+in("pg_type")+` AND o.opcintype = r.oid AND o.oid >= 12000`)
	}
	if w.columns || w.plans {
		all = append(all, `SELECT `+in("pg_rewrite")+`, w.oid FROM pg_catalog.pg_rewrite w WHERE r.class = `+in("pg_class")+` AND w.ev_class = r.oid AND w.ev_type = '1'`)
	}
	if w.checks {
		all = append(all, `SELECT `+in("pg_constraint")+`, k.oid FROM pg_catalog.pg_constraint k WHERE r.class = `+in("pg_class")+` AND k.conrelid = r.oid AND k.contype = 'c'`)
	}
	if !w.alone {
		all = append(all, `SELECT `+in("pg_class")+`, i.inhparent FROM pg_catalog.pg_inherits i WHERE r.class = `+in("pg_class")+` AND i.inhrelid = r.oid`)
	}
	if w.parts && !w.alone {
		all = append(all, `SELECT `+in("pg_class")+`, i.inhrelid FROM pg_catalog.pg_inherits i WHERE r.class = `+in("pg_class")+` AND i.inhparent = r.oid`)
	}
	if w.plans {
		all = append(all, `SELECT `+in("pg_class")+`, x.indexrelid FROM pg_catalog.pg_index x WHERE r.class = `+in("pg_class")+` AND x.indrelid = r.oid`,
			`SELECT `+in("pg_statistic_ext")+`, e.oid FROM pg_catalog.pg_statistic_ext e WHERE r.class = `+in("pg_class")+` AND e.stxrelid = r.oid`)
	}
	return strings.Join(all, " UNION ALL ")
}

// start is from where the code is looked for: oids of tables, types and functions.
type start struct{ tables, types, functions []string }

func (s start) args() []string {
	return []string{oidArray(s.tables), oidArray(s.types), oidArray(s.functions)}
}

// from is the SQL that follows a way from a start. Its parameters are the args of the start; its table reached holds
// all that the way leads to.
func (w reach) from() string {
	return `WITH RECURSIVE reached (class, oid) AS (
		(SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, t.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS t (oid)
			UNION SELECT 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid, t.oid FROM pg_catalog.unnest($2::pg_catalog.oid[]) AS t (oid)
			UNION SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, t.oid FROM pg_catalog.unnest($3::pg_catalog.oid[]) AS t (oid))
		UNION SELECT next.class, next.oid FROM reached r CROSS JOIN LATERAL (` + w.edges() + `) AS next (class, oid))`
}

// The oids of pg_type, pg_proc, pg_class, pg_attrdef and pg_constraint.
const (
	classOfTypes       = "1247"
	classOfFunctions   = "1255"
	classOfTables      = "1259"
	classOfDefaults    = "2604"
	classOfConstraints = "2606"
)
