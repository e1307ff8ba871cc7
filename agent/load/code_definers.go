package load

import (
	"context"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// closedDefiners are those of the functions $1 that run with their owner's rights, and that the role $2 is not and may
// not call: schema and name.
const closedDefiners = `SELECT n.nspname, p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
	JOIN pg_catalog.pg_roles r ON r.oid = p.proowner WHERE p.oid = ANY ($1::pg_catalog.oid[]) AND p.prosecdef AND r.rolname <> $2
	AND NOT (pg_catalog.has_schema_privilege($2::pg_catalog.name, n.oid, 'USAGE') AND pg_catalog.has_function_privilege($2::pg_catalog.name, p.oid, 'EXECUTE'))`

// noDefiner refuses rows if loading them runs code of one author beside a function that runs with the rights of
// another, and that the first may not call. The one may leave a search path, settings or temporary tables in the
// session, and with these the other may do what its author did not mean. A check reaches a function by its oid, so
// that nothing but EXECUTE is asked for, which all have: what kept the author from it was its schema, and that nobody
// but the table's owner writes to the table. A function that is found by its name needs no look: the login that loads
// the rows may use no schema that is closed to an author.
func (f codeFinder) noDefiner(ctx context.Context, table tableInfo, code []reachedCode, functions []string) error {
	asked := map[string]bool{}
	for _, c := range code {
		if asked[c.owner] {
			continue
		}
		asked[c.owner] = true
		closed, err := f.catalog.query(ctx, closedDefiners, oidArray(functions), c.owner)
		if err != nil {
			return err
		}
		if len(closed) > 0 {
			return &dump.ContentError{Object: "table " + table.name, Why: fmt.Sprintf("loading it runs the %s beside the function %s.%s, which runs with other rights and which %q may not call", c, closed[0][0], closed[0][1], c.owner)}
		}
	}
	return nil
}
