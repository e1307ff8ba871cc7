package load

import (
	"context"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// mayQuery is a condition on a function p: it may look into tables, or call something that does. Every function counts,
// except those in SQL and PL/pgSQL whose text has none of the words for it, and those of a compiled language.
func mayQuery(server postgres.Server) string {
	body := ""
	if server.Number >= 140000 { // a body that is no text came with PostgreSQL 14
		body = `p.prosqlbody IS NOT NULL OR `
	}
	return `(` + body + `p.prolang NOT IN (SELECT g.oid FROM pg_catalog.pg_language g WHERE g.lanname IN ('sql', 'plpgsql', 'internal', 'c'))
		OR p.prosrc ~* '\m(select|from|table|perform|execute|call|do|insert|update|delete|merge|copy|notify|create|alter|drop|grant|set|operator)\M|[[:alpha:]_"][[:alnum:]_$]*\.[[:alpha:]_"]')`
}

// mayRead is a condition on a function p of the server's own: it may look into tables, as query_to_xml does.
const mayRead = `p.oid < 12000 AND p.provolatile = 'v'`

// mayRun is one on such a function, or one of an extension: it may run anybody's code. What is not IMMUTABLE may, as
// table_to_xml runs a view and domain_in a check, but for what depends on the time zone alone, and some that are in
// many checks and write values as text. Of the others one may: it reads the key of a partitioned table, and computes
// constant parts of it.
var mayRun = `(p.oid < 12000 OR ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_proc'", "p.oid") + `)
	AND (p.provolatile = 'v' OR p.proname = 'satisfies_hash_partition' OR p.provolatile = 's' AND p.pronargs > 0 AND NOT (p.oid < 12000
		AND (p.proargtypes::pg_catalog.oid[] && '{date,time,timetz,timestamp,timestamptz,interval}'::pg_catalog.regtype[]::pg_catalog.oid[]
			OR p.proname IN ('concat', 'concat_ws', 'format', 'textanycat', 'anytextcat', 'array_to_string', 'current_setting'))))`

// expressionsOf are those that are computed as a row is loaded, as the catalog has them: of a check, a generated
// column, or the key of a partitioned table r of what was reached. They name functions that no dependency shows, for
// what is the server's own has none.
const expressionsOf = `SELECT k.conbin::pg_catalog.text AS nodes FROM pg_catalog.pg_constraint k WHERE r.class = ` + classOfConstraints + ` AND k.oid = r.oid
	UNION ALL SELECT f.adbin::pg_catalog.text FROM pg_catalog.pg_attrdef f WHERE r.class = ` + classOfDefaults + ` AND f.oid = r.oid
	UNION ALL SELECT k.partexprs::pg_catalog.text FROM pg_catalog.pg_partitioned_table k WHERE r.class = ` + classOfTables + ` AND k.partrelid = r.oid`

// callingTables are those of some tables, named as in a dump, whose rows call a function as they are loaded that meets
// a condition on p. own is for functions that are neither the server's nor an extension's, others is for these.
func callingTables(ctx context.Context, conn *postgres.Session, names []string, own, others string) (map[string]bool, error) {
	sql := `WITH RECURSIVE asked (name, oid) AS (SELECT a.name, pg_catalog.to_regclass(a.name)::pg_catalog.oid FROM pg_catalog.unnest($1::pg_catalog.text[]) AS a (name)),
		reached (origin, class, oid) AS (
			SELECT a.oid, 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, a.oid FROM asked a WHERE a.oid IS NOT NULL
			UNION SELECT r.origin, next.class, next.oid FROM reached r CROSS JOIN LATERAL (` + reachOfRows.edges() + `) AS next (class, oid))
		SELECT a.name FROM reached r JOIN pg_catalog.pg_proc p ON p.oid = r.oid AND r.class = ` + classOfFunctions + ` JOIN asked a ON a.oid = r.origin
			WHERE p.oid >= 12000 AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_proc'", "p.oid") + ` AND ` + own + `
		UNION SELECT a.name FROM reached r JOIN asked a ON a.oid = r.origin CROSS JOIN LATERAL (` + expressionsOf + `) AS x
			CROSS JOIN LATERAL pg_catalog.regexp_matches(x.nodes, ':(?:op)?funcid (\d+)', 'g') AS m (found)
			JOIN pg_catalog.pg_proc p ON p.oid = m.found[1]::pg_catalog.oid WHERE ` + others
	rows, err := postgres.Ask(ctx, conn, sql, textArray(names))
	calling := map[string]bool{}
	for _, row := range rows {
		calling[row[0]] = true
	}
	return calling, err
}
