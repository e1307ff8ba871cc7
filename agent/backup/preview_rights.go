package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// rightsRemedy is where all rights stand that a role needs which is no superuser.
const rightsRemedy = `see "An agent that is no superuser" in docs/agent.md, or restore as a superuser`

// checkOwners reports whether the role may give the objects of the dump to whom they belong, and load as these what calls code.
// A superuser may, and whoever loads a dump confined owns all of it.
func (l *lookAhead) checkOwners(ctx context.Context) {
	owners, role, refuse := l.needs.Members, l.server.CurrentUser, l.fail
	if len(owners) == 0 && len(l.needs.Owners) > 0 { // an older manifest, which lists others among them
		owners, refuse = l.needs.Owners, func(name string, err error, remedy string) { l.warn(name, err.Error(), remedy) }
	}
	if l.server.Superuser || l.req.Confined || len(owners) == 0 {
		l.ok("owners", "objects can be given to whom they belong")
		return
	}
	strangers, err := l.Instance.NotMember(ctx, l.server, owners)
	if err != nil {
		l.unknown("owners", err)
		return
	}
	if len(strangers) > 0 {
		refuse("owners", fmt.Errorf("the role %q is no member of %s, and can give them no objects", role, strings.Join(strangers, ", ")), rightsRemedy)
		return
	}
	if made, err := l.ownersMade(ctx, owners); err == nil && len(made) > 0 {
		refuse("owners", fmt.Errorf("--with-roles makes %s, of which the role %q will be no member, and to which it can give no objects", strings.Join(made, ", "), role),
			"make them by hand and GRANT them to it; "+rightsRemedy)
		return
	}
	switch lacks, err := l.Instance.LacksForLogins(ctx, l.server, owners); {
	case err != nil:
		l.unknown("owners", err)
	case lacks != "" && !l.req.TrustContent:
		l.warn("owners", fmt.Sprintf("the role %q lacks %s: where tables call code, such as a check or a generated column, it can't load them as their owners", role, lacks), rightsRemedy)
	case l.server.Number >= 150000 && (l.req.Manifest == nil || l.req.Manifest.Globals == nil):
		l.warn("owners", "nothing says who owned the database: where its owner had objects in the schema public by that alone, the restore will fail",
			"restore another backup, or as a superuser")
	default:
		l.ok("owners", fmt.Sprintf("%q is a member of all %d", role, len(owners)))
	}
}

// checkLogins reports whether the server lets the logins in by which a restore loads. One that is confined always needs one; else a dump
// does whose tables call code, which only the load itself sees.
func (l *lookAhead) checkLogins(ctx context.Context) {
	if l.req.TrustContent && !l.req.Confined {
		l.ok("logins", "none are needed: all is loaded with the rights of the agent")
		return
	}
	err := l.Instance.CheckLogin(ctx)
	var closed *postgres.NoWayIn
	switch {
	case errors.As(err, &closed) && l.req.Confined:
		l.fail("logins", err, closed.Remedy())
	case errors.As(err, &closed):
		l.warn("logins", "where tables call code, such as a check or a generated column, the restore will fail: "+err.Error(), closed.Remedy())
	case err != nil:
		l.unknown("logins", err)
	default:
		l.ok("logins", "the server lets roles in by a password")
	}
}

// ownersMade are the owners that the restore makes, as a role that is no member of what it makes.
func (l *lookAhead) ownersMade(ctx context.Context, owners []string) ([]string, error) {
	m := l.req.Manifest
	if l.req.WithRoles == "" || m == nil || m.Globals == nil {
		return nil, nil
	}
	joins, err := l.Instance.JoinsWhatItMakes(ctx, l.server)
	if err != nil || joins {
		return nil, err
	}
	missing, err := l.Instance.MissingRoles(ctx, owners)
	return slices.DeleteFunc(missing, func(role string) bool { return !slices.Contains(m.Globals.Roles, role) }), err
}

// checkExtensions says which are not there, and which the role that makes them may not make.
func (l *lookAhead) checkExtensions(ctx context.Context) {
	needed := l.needs.Extensions
	missing, err := l.Instance.Missing(ctx, postgres.Extensions, needed)
	if err == nil && len(missing) == 0 && (!l.server.Superuser || l.req.Confined) {
		denied, err := l.Instance.Missing(ctx, postgres.MakeableExtensions(l.server), needed)
		if err == nil && len(denied) > 0 {
			l.fail("extensions", fmt.Errorf("only a superuser can make the extensions %s", strings.Join(denied, ", ")), "restore as a superuser")
			return
		}
		if err != nil {
			l.unknown("extensions", err)
			return
		}
	}
	l.missing("extensions", needed, missing, "install their packages on the server's host", err)
}
