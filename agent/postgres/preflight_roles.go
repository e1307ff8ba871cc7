package postgres

import (
	"context"
	"slices"
	"strings"
)

// MakeableExtensions returns the query of the extensions that a role that is no superuser can make, in a database that it
// owns; for Missing.
func MakeableExtensions(server Server) string {
	const makeable = `SELECT e.name FROM pg_catalog.pg_available_extensions e
		JOIN pg_catalog.pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version
		WHERE NOT v.superuser`
	if server.Number < 130000 {
		return makeable
	}
	return makeable + " OR v.trusted"
}

// databaseOwner is a member of whoever owns a database, in that database.
const databaseOwner = "pg_database_owner"

// NotMember returns those of the roles that the instance has and that this one can give nothing to: it is no member of them.
func (p *Preflight) NotMember(ctx context.Context, server Server, roles []string) ([]string, error) {
	unrelated := "SELECT rolname FROM pg_catalog.pg_roles WHERE NOT pg_catalog.pg_has_role(oid, 'MEMBER')"
	if server.Number >= 160000 {
		unrelated = "SELECT rolname FROM pg_catalog.pg_roles WHERE NOT pg_catalog.pg_has_role(oid, 'SET')"
	}
	return p.among(ctx, unrelated, roles)
}

// JoinsWhatItMakes reports whether the role becomes a member of the roles that it makes, as it has to be to give them something.
func (p *Preflight) JoinsWhatItMakes(ctx context.Context, server Server) (bool, error) {
	if server.Superuser || server.Number < 160000 {
		return server.Superuser, nil
	}
	granting, err := p.connection.set(ctx, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'createrole_self_grant' AND setting LIKE '%set%'")
	return len(granting) > 0, err
}

// MayMakeRoles reports whether the role may make others.
func (p *Preflight) MayMakeRoles(ctx context.Context) (bool, error) {
	may, err := p.connection.set(ctx, "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole)")
	return len(may) > 0, err
}

// LacksForLogins says what the role lacks to make logins that are members of the owners, by which the code of a dump is run;
// "" where it lacks nothing. What belongs to superusers is loaded by no login.
func (p *Preflight) LacksForLogins(ctx context.Context, server Server, owners []string) (string, error) {
	switch may, err := p.MayMakeRoles(ctx); {
	case err != nil:
		return "", err
	case !may:
		return "CREATEROLE", nil
	case server.Number < 160000:
		return "", nil
	}
	const notTheirs = "SELECT rolname FROM pg_catalog.pg_roles WHERE NOT rolsuper AND NOT pg_catalog.pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')"
	theirs, err := p.among(ctx, notTheirs, owners)
	if err != nil || len(theirs) == 0 {
		return "", err
	}
	return "the ADMIN option on " + strings.Join(theirs, ", "), nil
}

// among returns those of the names that a query finds, but for the owner of the database.
func (p *Preflight) among(ctx context.Context, sql string, names []string) ([]string, error) {
	found, err := p.connection.set(ctx, sql)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !found[name] || name == databaseOwner }), err
}
