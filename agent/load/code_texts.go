package load

import (
	"context"
	"fmt"
	"strings"
)

// harmlessExtensions take texts, and run none of them as SQL.
const harmlessExtensions = `'btree_gin', 'btree_gist', 'citext', 'cube', 'earthdistance', 'fuzzystrmatch', 'hstore', 'intarray', 'isn', 'ltree', 'pg_trgm', 'pgcrypto',
	'postgis', 'seg', 'unaccent', 'uuid-ossp', 'vector'`

// runsTexts is a condition on a function %[1]s: it is the server's own or an extension's, and may run SQL that it is
// given as a text, or the code of a type or relation that it is given by its name or oid. What that will be, nothing
// tells before it is run. Few of the server's own are such. An extension's function in C counts if it takes anything
// that may be such a text or name, except in extensions that are known.
const runsTexts = `(%[1]s.oid < 12000 AND (%[1]s.proname ~ '^(query|cursor|table|schema|database)_to_xml|^ts_stat$|^(domain|record|array|range|multirange)_(in|recv)$|^pg_input_|^satisfies_hash_partition$'
		OR %[1]s.proname = 'ts_rewrite' AND %[1]s.pronargs = 2)
	OR %[1]s.oid >= 12000 AND EXISTS (SELECT FROM pg_catalog.pg_depend e JOIN pg_catalog.pg_extension x ON x.oid = e.refobjid JOIN pg_catalog.pg_language g ON g.oid = %[1]s.prolang
		WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = %[1]s.oid AND e.deptype = 'e'
			AND CASE WHEN g.lanname IN ('c', 'internal') THEN %[1]s.provolatile <> 'i' AND x.extname NOT IN (` + harmlessExtensions + `)
					AND %[1]s.proargtypes::pg_catalog.oid[] && '{19, 24, 25, 26, 1009, 1043, 2202, 2205, 2275, 2276}'::pg_catalog.oid[]
				WHEN g.lanname IN ('sql', 'plpgsql') THEN %[1]s.prosrc ~* '\mexecute\M' ELSE true END))`

// trees are the expressions of what a way leads to. They hold the functions that they call by their oids; pg_depend
// does not have those of the server's own.
func (f codeFinder) trees() string {
	const found = "reached r"
	from := func(class, column, join string) string {
		return "SELECT x." + column + "::pg_catalog.text FROM " + found + " JOIN pg_catalog." + join + " WHERE r.class = 'pg_catalog." + class + "'::pg_catalog.regclass::pg_catalog.oid"
	}
	all := []string{
		from("pg_constraint", "conbin", "pg_constraint x ON x.oid = r.oid"),
		from("pg_attrdef", "adbin", "pg_attrdef x ON x.oid = r.oid"),
		from("pg_rewrite", "ev_action", "pg_rewrite x ON x.oid = r.oid"),
		from("pg_class", "indexprs", "pg_index x ON x.indexrelid = r.oid"),
		from("pg_class", "indpred", "pg_index x ON x.indexrelid = r.oid"),
		from("pg_class", "partexprs", "pg_partitioned_table x ON x.partrelid = r.oid"),
	}
	if f.server.Number >= 140000 {
		all = append(all, from("pg_statistic_ext", "stxexprs", "pg_statistic_ext x ON x.oid = r.oid"), from("pg_proc", "prosqlbody", "pg_proc x ON x.oid = r.oid"))
	}
	return strings.Join(all, " UNION ALL ")
}

// textRunners are the functions that a way leads to, and that may run SQL that they are given as a text.
func (f codeFinder) textRunners(ctx context.Context, w reach, from start) ([]reachedCode, error) {
	rows, err := f.catalog.query(ctx, w.from()+` SELECT r.class, r.oid FROM reached r`, from.args()...)
	if err != nil {
		return nil, err
	}
	reached := make([]string, len(rows))
	for n, row := range rows {
		reached[n] = row[0] + "." + row[1]
	}
	return f.ask(ctx, `WITH reached (class, oid) AS (`+namedObjects+`), trees (tree) AS (`+f.trees()+`), called (oid) AS (
			SELECT r.oid FROM reached r WHERE r.class = `+classOfFunctions+`
			UNION SELECT m.found[1]::pg_catalog.oid FROM trees t CROSS JOIN LATERAL pg_catalog.regexp_matches(t.tree, ':(?:op)?funcid (\d+)', 'g') AS m (found))
		SELECT 'function', n.nspname, p.proname || ', which runs SQL that it is given,', r.rolname FROM called c JOIN pg_catalog.pg_proc p ON p.oid = c.oid
			JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_roles r ON r.oid = p.proowner WHERE `+fmt.Sprintf(runsTexts, "p")+` LIMIT 1`, textArray(reached))
}

// namedObjects are the objects $1, each CLASS.OID.
const namedObjects = `SELECT pg_catalog.split_part(o.name, '.', 1)::pg_catalog.oid, pg_catalog.split_part(o.name, '.', 2)::pg_catalog.oid FROM pg_catalog.unnest($1::pg_catalog.text[]) AS o (name)`
