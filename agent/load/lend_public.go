package load

import (
	"context"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// LendPublic lets the future owner of a database use its schema public and make objects there while pg_restore or psql
// fills it as a role that is no superuser. It returns what takes that back. A Guarded load does this by itself.
func LendPublic(ctx context.Context, i *postgres.Instance, database, owner string, d *dump.Definitions) (takeBack func(context.Context) error, err error) {
	server, err := i.Server(ctx)
	if err != nil || server.Superuser {
		return func(context.Context) error { return nil }, err
	}
	return lendPublic(ctx, i, database, owner, d)
}

// lendPublic does it for any role that restores.
//
// From PostgreSQL 15 on, a database's owner may do this because it is the owner; while the database is filled, that is
// the agent's role. Without it no role but a superuser could give away objects there, and each table would have to be
// moved for its indexes. Nothing is lent if the dump gives the schema another owner.
func lendPublic(ctx context.Context, i *postgres.Instance, database, owner string, d *dump.Definitions) (takeBack func(context.Context) error, err error) {
	nothing := func(context.Context) error { return nil }
	server, err := i.Server(ctx)
	if err != nil || server.Number < 150000 || owner == "" || owner == server.CurrentUser || ownsPublic(d) {
		return nothing, err
	}
	rows, err := i.QueryIn(ctx, database, "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1 AND NOT rolsuper AND pg_catalog.pg_has_role(oid, 'MEMBER')", owner)
	if err != nil || len(rows) == 0 {
		return nothing, err // it gets nothing of the role's
	}
	if err := i.ExecuteIn(ctx, database, "GRANT USAGE, CREATE ON SCHEMA public TO "+postgres.QuoteName(owner)); err != nil {
		return nothing, err
	}
	lent := slices.DeleteFunc([]string{"USAGE", "CREATE"}, func(privilege string) bool { return grantsPublic(d, privilege, owner) })
	if len(lent) == 0 { // it has them in what was dumped, too
		return nothing, nil
	}
	return func(ctx context.Context) error {
		return i.ExecuteIn(ctx, database, "REVOKE "+strings.Join(lent, ", ")+" ON SCHEMA public FROM "+postgres.QuoteName(owner))
	}, nil
}

// ownsPublic reports whether the dump gives the schema public an owner of its own.
func ownsPublic(d *dump.Definitions) bool {
	return slices.ContainsFunc(slices.Concat(d.Before, d.Last), func(d dump.Definition) bool {
		object, _ := dump.OwnerChange(d.Statement())
		return object == "SCHEMA public"
	})
}

// grantsPublic reports whether the dump gives a role a privilege on the schema public.
func grantsPublic(d *dump.Definitions, privilege, role string) bool {
	return slices.ContainsFunc(d.Rights, func(d dump.Definition) bool {
		st := d.Statement()
		return st.Begins("GRANT") && st.Reference("ON", "TO", "FROM") == "SCHEMA public" && st.Name(st.Find(1, "TO")+1) == role &&
			(st.Find(1, privilege) > 0 || st.Find(1, "ALL") > 0)
	})
}
