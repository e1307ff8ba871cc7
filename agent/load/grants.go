package load

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// grantAs runs a grant that a grantee gave, as that role. Who may not use the schema any more may do so for this statement: GRANT finds the
// object by its name, and runs nobody's code.
func (s *loadSessions) grantAs(ctx context.Context, d dump.Definition, refusal error) error {
	_, object, _ := strings.Cut(grantedOn(d), " ")
	schema, _ := dump.SplitQualified(object)
	rights, err := s.oids(ctx, unheld, textArray([]string{dump.Unquoted(schema)}), "{}", dump.Unquoted(d.As))
	if err != nil || len(rights) == 0 {
		return cmp.Or(err, refusal)
	}
	right := "USAGE ON " + rights[0]
	return s.runTogether(ctx, "GRANT "+right+" TO "+d.As, "SET SESSION AUTHORIZATION "+d.As, d.SQL, "RESET SESSION AUTHORIZATION", "REVOKE "+right+" FROM "+d.As)
}

// giveAs gives an object to a role that may make nothing in the object's schema. Only a superuser may do so as it is; another role that
// restores lends CREATE to the owner-to-be, where it may.
func (s *loadSessions) giveAs(ctx context.Context, d dump.Definition, object, role string, refusal error) error {
	_, name, _ := strings.Cut(object, " ")
	schema, _ := dump.SplitQualified(name)
	if schema == "" {
		return refusal
	}
	rows, err := s.query(ctx, `SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = $1 AND NOT pg_catalog.has_schema_privilege($2::pg_catalog.name, n.oid, 'CREATE')`, dump.Unquoted(schema), role)
	if err != nil || len(rows) == 0 {
		return cmp.Or(err, refusal)
	}
	right, to := "CREATE ON SCHEMA "+schema, postgres.QuoteName(role)
	if err := s.runTogether(ctx, "GRANT "+right+" TO "+to, d.SQL, "REVOKE "+right+" FROM "+to); err != nil {
		return errors.Join(refusal, err)
	}
	return nil
}
