package postgres

import (
	"cmp"
	"context"
	"strings"
)

// grantAs runs a grant that a grantee gave, as that role. Who may not use the schema any more may do so for this statement: GRANT finds the
// object by its name, and runs nobody's code.
func (s *loadSessions) grantAs(ctx context.Context, d definition, refusal error) error {
	_, object, _ := strings.Cut(grantedOn(d), " ")
	schema, _ := splitQualified(object)
	rights, err := s.oids(ctx, unheld, textArray([]string{unquoted(schema)}), "{}", unquoted(d.as))
	if err != nil || len(rights) == 0 {
		return cmp.Or(err, refusal)
	}
	right := "USAGE ON " + rights[0]
	return s.runTogether(ctx, "GRANT "+right+" TO "+d.as, "SET SESSION AUTHORIZATION "+d.as, d.sql, "RESET SESSION AUTHORIZATION", "REVOKE "+right+" FROM "+d.as)
}
