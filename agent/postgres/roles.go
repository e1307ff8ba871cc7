package postgres

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// rolesMade are the roles that a script makes, in its order.
func rolesMade(script []dump.Statement) []string {
	var roles []string
	for _, s := range script {
		if s.Begins("CREATE", "ROLE") {
			roles = append(roles, s.Name(2))
		}
	}
	return roles
}

// RoleAdmin makes the roles that a database needs, from a script of them, and drops what a restore made. It needs a connection
// alone, and is safe for concurrent use.
type RoleAdmin struct{ connection *Connection }

// NewRoleAdmin works over a connection; it does not connect yet.
func NewRoleAdmin(connection *Connection) *RoleAdmin { return &RoleAdmin{connection} }

// allRoles is every role of the instance.
const allRoles = "SELECT rolname FROM pg_catalog.pg_roles"

// MissingRoles returns those of the roles that the instance does not have.
func (r *RoleAdmin) MissingRoles(ctx context.Context, roles []string) ([]string, error) {
	return r.connection.missing(ctx, allRoles, roles)
}

// MakeRoles makes those of the wanted roles of a Globals' script that the instance does not have, and of those that they are members
// of, with their attributes, settings, comments and memberships, all or none. Roles that exist are left as they are. Unless superuser is set, the new ones get nothing
// that reaches beyond the restored database: no attribute but how they log in, no parameter that only a superuser may set,
// and no membership but in each other, neither in roles that were there before nor in those that PostgreSQL itself brings.
// It returns those that it made, and what they lack, a sentence each.
func (r *RoleAdmin) MakeRoles(ctx context.Context, globals []byte, wanted []string, superuser bool) (made, leftOut []string, err error) {
	server, err := r.connection.Server(ctx)
	if err != nil {
		return nil, nil, err
	}
	script := dump.SplitScript(globals)
	needed, members := neededRoles(script, wanted)
	missing, err := r.MissingRoles(ctx, needed)
	if err != nil || len(missing) == 0 {
		return nil, nil, err
	}
	if members, err = r.MissingRoles(ctx, members); err != nil {
		return nil, nil, err
	}
	maker := &roleMaker{missing: missing, server: server, superuser: superuser}
	if maker.groups, err = r.groups(ctx, missing, superuser); err != nil {
		return nil, nil, err
	}
	if maker.settings, err = r.connection.freeSettings(ctx); err != nil {
		return nil, nil, err
	}
	if err := r.connection.executeTogether(ctx, maker.statements(script)); err != nil {
		return nil, nil, err
	}
	for _, role := range members {
		maker.leaveOut(role, "is not made: it is a member of one that the database needs, and the database does not name it")
	}
	return missing, maker.leftOut, nil
}

// groups are the roles of which the missing ones may become members.
func (r *RoleAdmin) groups(ctx context.Context, missing []string, superuser bool) (groups map[string]bool, err error) {
	groups = map[string]bool{}
	if superuser {
		if groups, err = r.connection.set(ctx, allRoles); err != nil {
			return nil, err
		}
	}
	for _, role := range missing {
		groups[role] = true
	}
	return groups, nil
}

// DropRoles drops roles that MakeRoles made; those that own something by now stay, with an error.
func (r *RoleAdmin) DropRoles(ctx context.Context, roles []string) error {
	if len(roles) == 0 {
		return nil
	}
	var names []string
	for _, role := range roles {
		names = append(names, QuoteName(role))
	}
	return r.connection.Execute(ctx, "DROP ROLE IF EXISTS "+strings.Join(names, ", "))
}

// Roles lists the roles of the instance, but for PostgreSQL's own.
func (r *RoleAdmin) Roles(ctx context.Context) ([]string, error) {
	rows, err := r.connection.Query(ctx, `SELECT rolname FROM pg_catalog.pg_roles WHERE rolname NOT LIKE 'pg\_%' ORDER BY 1`)
	names := make([]string, len(rows))
	for n, row := range rows {
		names[n] = row[0]
	}
	return names, err
}
