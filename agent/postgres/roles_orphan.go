package postgres

import (
	"context"
	"strings"
)

// orphanRoles are the roles that a restore made for itself and that nobody has a use for: their database is gone or was given to somebody
// else, they own nothing and have no grant anywhere, can't log in, and nobody but this role is a member. The role of a restore that is
// under way has a database of its own name, as its logins have.
const orphanRoles = `SELECT r.rolname FROM pg_catalog.pg_roles r
	WHERE r.rolname ~ '^pgharbor_restore_[a-z0-9-]{1,40}(_[0-9]+)?$' AND NOT r.rolcanlogin AND NOT r.rolsuper AND NOT pg_catalog.pg_is_in_recovery()
		AND EXISTS (SELECT FROM pg_catalog.pg_roles me WHERE me.rolname = current_user AND (me.rolsuper OR me.rolcreaterole))
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_database d WHERE r.rolname = d.datname OR pg_catalog.starts_with(r.rolname::pg_catalog.text, d.datname || '_'))
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_shdepend s WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = r.oid)
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid
			OR m.roleid = r.oid AND m.member NOT IN (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user))
	ORDER BY 1`

// DropOrphanRoles drops the roles that restores made for themselves and that own nothing any more, and returns them.
func (r *RoleAdmin) DropOrphanRoles(ctx context.Context) (dropped []string, err error) {
	rows, err := r.connection.Query(ctx, orphanRoles)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if !strings.HasPrefix(row[0], OwnPrefix) {
			continue
		}
		switch err := r.connection.Execute(ctx, "DROP ROLE IF EXISTS "+QuoteName(row[0])); SQLState(err) {
		case StateDependents, StateNoPrivilege: // it owns something by now, or is another agent's
			continue
		default:
			if err != nil {
				return dropped, err
			}
		}
		dropped = append(dropped, row[0])
	}
	return dropped, nil
}
