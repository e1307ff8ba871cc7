package load

import (
	"context"
	"slices"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// goesAlong are the names of what goes to another schema with the relation $1: its indexes, and the sequences of its columns.
const goesAlong = `SELECT c.relname FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
		WHERE x.indrelid = pg_catalog.to_regclass($1::pg_catalog.text)
	UNION SELECT c.relname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
		WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid
			AND d.refobjid = pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid AND d.deptype IN ('a', 'i')`

// nothingElse refuses what goes along with a relation from the schema of a login, other than known names: code of its owner, who may make
// nothing in the schema where it goes, may have put that beside it. object is what the dump calls it.
func nothingElse(ctx context.Context, s *loadSessions, object, relation string, known ...string) error {
	names, err := s.oids(ctx, goesAlong, relation)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return &dump.ContentError{Object: object, Why: postgres.QuoteName(name) + " was put beside it while it was made"}
		}
	}
	return nil
}
