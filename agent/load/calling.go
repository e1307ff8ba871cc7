package load

import (
	"context"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// mayQuery is a condition on a function p: it may look into tables, or call something that does. All are taken for such but those in SQL
// and PL/pgSQL whose text has none of the words for it, and those of a compiled language.
func mayQuery(server postgres.Server) string {
	body := ""
	if server.Number >= 140000 { // a body that is no text came with PostgreSQL 14
		body = `p.prosqlbody IS NOT NULL OR `
	}
	return `(` + body + `p.prolang NOT IN (SELECT g.oid FROM pg_catalog.pg_language g WHERE g.lanname IN ('sql', 'plpgsql', 'internal', 'c'))
		OR p.prosrc ~* '\m(select|from|table|perform|execute|call|do|insert|update|delete|merge|copy|notify|create|alter|drop|grant|set|operator)\M|[[:alpha:]_"][[:alnum:]_$]*\.[[:alpha:]_"]')`
}

// runsSQL is a condition on a check k: it calls a function of the server's own that may do anything, as query_to_xml does.
const runsSQL = `EXISTS (SELECT FROM pg_catalog.regexp_matches(k.conbin::pg_catalog.text, ':(?:op)?funcid (\d+)', 'g') AS m (found)
	JOIN pg_catalog.pg_proc p ON p.oid = m.found[1]::pg_catalog.oid WHERE p.oid < 12000 AND p.provolatile = 'v')`

// callingTables are those of some tables, named as in a dump, whose rows call a function that meets a condition on p as they are loaded, or
// one of the server's own that may run anything. What comes with extensions does not count.
func callingTables(ctx context.Context, conn *postgres.Session, names []string, condition string) (map[string]bool, error) {
	sql := `WITH RECURSIVE asked (name, oid) AS (SELECT a.name, pg_catalog.to_regclass(a.name)::pg_catalog.oid FROM pg_catalog.unnest($1::pg_catalog.text[]) AS a (name)),
		reached (origin, class, oid) AS (
			SELECT a.oid, 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, a.oid FROM asked a WHERE a.oid IS NOT NULL
			UNION SELECT r.origin, next.class, next.oid FROM reached r CROSS JOIN LATERAL (` + reachOfRows.edges() + `) AS next (class, oid))
		SELECT a.name FROM reached r JOIN pg_catalog.pg_proc p ON p.oid = r.oid AND r.class = ` + classOfFunctions + ` JOIN asked a ON a.oid = r.origin
			WHERE p.oid >= 12000 AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_proc'", "p.oid") + ` AND ` + condition + `
		UNION SELECT a.name FROM reached r JOIN pg_catalog.pg_constraint k ON k.oid = r.oid AND r.class = ` + classOfConstraints + ` JOIN asked a ON a.oid = r.origin
			WHERE ` + runsSQL
	rows, err := postgres.Ask(ctx, conn, sql, textArray(names))
	calling := map[string]bool{}
	for _, row := range rows {
		calling[row[0]] = true
	}
	return calling, err
}
