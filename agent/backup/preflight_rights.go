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
// A superuser may, and whoever loads a dump sandboxed owns all of it.
func (p *preflight) checkOwners(ctx context.Context) {
	owners, role, refuse := p.needs.Members, p.server.CurrentUser, p.fail
	if len(owners) == 0 && len(p.needs.Owners) > 0 { // an older manifest, which lists others among them
		owners, refuse = p.needs.Owners, func(name string, err error, remedy string) { p.warn(name, err.Error(), remedy) }
	}
	if p.server.Superuser || p.sandboxed || len(owners) == 0 {
		p.ok("owners", "objects can be given to whom they belong")
		return
	}
	strangers, err := p.instance.NotMember(ctx, p.server, owners)
	if err != nil {
		p.unknown("owners", err)
		return
	}
	if len(strangers) > 0 {
		refuse("owners", fmt.Errorf("the role %q is no member of %s, and can give them no objects", role, strings.Join(strangers, ", ")), rightsRemedy)
		return
	}
	if made, err := p.ownersMade(ctx, owners); err == nil && len(made) > 0 {
		refuse("owners", fmt.Errorf("--with-roles makes %s, of which the role %q will be no member, and to which it can give no objects", strings.Join(made, ", "), role),
			"make them by hand and GRANT them to it; "+rightsRemedy)
		return
	}
	switch lacks, err := p.instance.LacksForLogins(ctx, p.server, owners); {
	case err != nil:
		p.unknown("owners", err)
	case lacks != "" && !p.trustContent:
		p.warn("owners", fmt.Sprintf("the role %q lacks %s: where tables call code, such as a check or a generated column, it can't load them as their owners", role, lacks), rightsRemedy)
	case p.server.Number >= 150000 && (p.manifest == nil || p.manifest.Globals == nil):
		p.warn("owners", "nothing says who owned the database: where its owner had objects in the schema public by that alone, the restore will fail",
			"restore another backup, or as a superuser")
	default:
		p.ok("owners", fmt.Sprintf("%q is a member of all %d", role, len(owners)))
	}
}

// checkLogins reports whether the server lets the logins in by which a restore loads. One that is sandboxed always needs one; else a dump
// does whose tables call code, which only the load itself sees.
func (p *preflight) checkLogins(ctx context.Context) {
	if p.trustContent && !p.sandboxed {
		p.ok("logins", "none are needed: all is loaded with the rights of the agent")
		return
	}
	err := p.instance.CheckLogin(ctx)
	var closed *postgres.NoWayIn
	switch {
	case errors.As(err, &closed) && p.sandboxed:
		p.fail("logins", err, closed.Remedy())
	case errors.As(err, &closed):
		p.warn("logins", "where tables call code, such as a check or a generated column, the restore will fail: "+err.Error(), closed.Remedy())
	case err != nil:
		p.unknown("logins", err)
	default:
		p.ok("logins", "the server lets roles in by a password")
	}
}

// ownersMade are the owners that the restore makes, as a role that is no member of what it makes.
func (p *preflight) ownersMade(ctx context.Context, owners []string) ([]string, error) {
	m := p.manifest
	if p.withRoles == "" || m == nil || m.Globals == nil {
		return nil, nil
	}
	joins, err := p.instance.JoinsWhatItMakes(ctx, p.server)
	if err != nil || joins {
		return nil, err
	}
	missing, err := p.instance.MissingRoles(ctx, owners)
	return slices.DeleteFunc(missing, func(role string) bool { return !slices.Contains(m.Globals.Roles, role) }), err
}

// checkExtensions says which are not there, and which the role that makes them may not make.
func (p *preflight) checkExtensions(ctx context.Context) {
	needed := p.needs.Extensions
	missing, err := p.instance.Missing(ctx, postgres.Extensions, needed)
	if err == nil && len(missing) == 0 && (!p.server.Superuser || p.sandboxed) {
		denied, err := p.instance.Missing(ctx, postgres.MakeableExtensions(p.server), needed)
		if err == nil && len(denied) > 0 {
			p.fail("extensions", fmt.Errorf("only a superuser can make the extensions %s", strings.Join(denied, ", ")), "restore as a superuser")
			return
		}
		if err != nil {
			p.unknown("extensions", err)
			return
		}
	}
	p.missing("extensions", needed, missing, "install their packages on the server's host", err)
}
