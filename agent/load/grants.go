package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// grantAs runs a grant that a grantee gave, as that role. If the role may no longer use the schema, it may for this
// statement: GRANT finds the object by its name, and runs nobody's code.
func (s *loadSessions) grantAs(ctx context.Context, d dump.Definition, refusal error) error {
	_, object, _ := strings.Cut(grantedOn(d), " ")
	schema, _ := dump.SplitQualified(object)
	rights, err := s.catalog.oids(ctx, unheld, textArray([]string{dump.Unquoted(schema)}), "{}", dump.Unquoted(d.As))
	if err != nil || len(rights) == 0 {
		return cmp.Or(err, refusal)
	}
	right := "USAGE ON " + rights[0]
	return s.runTogether(ctx, "GRANT "+right+" TO "+d.As, "SET SESSION AUTHORIZATION "+d.As, d.SQL, "RESET SESSION AUTHORIZATION", "REVOKE "+right+" FROM "+d.As)
}

// giveAs gives an object to a role that may make nothing in the object's schema. A superuser may simply do that;
// another role that restores lends CREATE to the future owner, if it may.
func (s *loadSessions) giveAs(ctx context.Context, d dump.Definition, object, role string, refusal error) error {
	_, name, _ := strings.Cut(object, " ")
	schema, _ := dump.SplitQualified(name)
	if schema == "" {
		return refusal
	}
	rows, err := s.catalog.query(ctx, `SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = $1 AND NOT pg_catalog.has_schema_privilege($2::pg_catalog.name, n.oid, 'CREATE')`, dump.Unquoted(schema), role)
	if err != nil || len(rows) == 0 {
		return cmp.Or(err, refusal)
	}
	right, to := "CREATE ON SCHEMA "+schema, postgres.QuoteName(role)
	if err := s.runTogether(ctx, "GRANT "+right+" TO "+to, d.SQL, "REVOKE "+right+" FROM "+to); err != nil {
		return errors.Join(refusal, err)
	}
	return nil
}

// ignoredGrants are the statements that the server passed over with such a warning. Several goroutines may use it.
type ignoredGrants struct {
	mu  sync.Mutex
	all []string
}

// heed keeps a statement, if its warning says that the server passed over it.
func (i *ignoredGrants) heed(d dump.Definition, warning string) {
	if warning != postgres.StateNotRevoked && warning != postgres.StateNotGranted {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.all = append(i.all, d.SQL)
}

// warning says how many rights are not as they were, because the role that restores may not give or take them; "" is
// none.
func (i *ignoredGrants) warning(user string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.all) == 0 {
		return ""
	}
	return fmt.Sprintf("%d statements that give or take rights did nothing, because %q does not own the objects, the first: %s", len(i.all), user, dump.FirstWords(i.all[0]))
}
