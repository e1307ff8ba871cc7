package load

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// calledFunctions are the functions $1: schema, name, owner, body in small letters, and whether each runs with its
// owner's rights, or its body does not tell what it runs.
const calledFunctions = `SELECT n.nspname, p.proname, r.rolname, pg_catalog.lower(p.prosrc), p.prosecdef::pg_catalog.text,
		(g.lanname NOT IN ('sql', 'plpgsql') OR p.prosrc ~* '\mexecute\M')::pg_catalog.text
	FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
	JOIN pg_catalog.pg_language g ON g.oid = p.prolang WHERE p.oid = ANY ($1::pg_catalog.oid[])`

// definerFunctions are the functions that run with their owner's rights, by their names in small letters, with that
// owner.
const definerFunctions = `SELECT pg_catalog.lower(p.proname::pg_catalog.text), r.rolname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
	WHERE p.oid >= 12000 AND p.prosecdef`

// noDefiner refuses rows if loading them runs code of one author beside a function that runs with the rights of
// another. The one may leave a search path, settings or temporary tables in the session, and with these the other may
// do what its author did not mean. In the source, somebody without a right to write to the table can't call that
// function if its schema is closed; here one session runs both.
func (f codeFinder) noDefiner(ctx context.Context, table tableInfo, code []reachedCode, functions []string) error {
	called, err := f.catalog.query(ctx, calledFunctions, oidArray(functions))
	if err != nil || len(called) == 0 {
		return err
	}
	definers, err := f.catalog.query(ctx, definerFunctions)
	if err != nil {
		return err
	}
	for _, f := range called {
		for _, c := range code {
			if c.owner != f[2] && mayRunAsOther(f, definers, c.owner) {
				return &dump.ContentError{Object: "table " + table.name, Why: fmt.Sprintf("loading it runs the %s beside the function %s.%s, which runs with other rights", c, f[0], f[1])}
			}
		}
	}
	return nil
}

// mayRunAsOther reports whether a function of calledFunctions may run with the rights of anybody but a role.
func mayRunAsOther(f []string, definers [][]string, but string) bool {
	has := namesIn(f[3])
	return f[4] == "true" || slices.ContainsFunc(definers, func(d []string) bool { return d[1] != but && (f[5] == "true" || has(d[0])) })
}
