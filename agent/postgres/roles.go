package postgres

import (
	"context"
	"slices"
	"strings"
)

// strong are the attributes that make a role more than an owner of objects: only a superuser may give them, and whoever
// has them can read or become what the restored database has nothing to do with.
var strong = []string{"SUPERUSER", "REPLICATION", "BYPASSRLS"}

// presentRoles lists the roles of the instance, and says which of them are too strong to be given: they have such an
// attribute, or they get at files and programs of the host.
const presentRoles = `SELECT r.rolname, EXISTS (SELECT FROM pg_roles p WHERE pg_has_role(r.oid, p.oid, 'MEMBER') AND
		(p.rolsuper OR p.rolreplication OR p.rolbypassrls OR
		p.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')))
	FROM pg_roles r`

// rolesMade are the roles that a script makes, in its order.
func rolesMade(script []statement) []string {
	var roles []string
	for _, s := range script {
		if s.begins("CREATE", "ROLE") {
			roles = append(roles, s.name(2))
		}
	}
	return roles
}

// MissingRoles returns those of the roles that the instance does not have.
func (i *Instance) MissingRoles(ctx context.Context, roles []string) ([]string, error) {
	rows, err := i.query(ctx, "SELECT rolname FROM pg_roles")
	if err != nil {
		return nil, err
	}
	present := map[string]bool{}
	for _, row := range rows {
		present[row[0]] = true
	}
	return slices.DeleteFunc(slices.Clone(roles), func(role string) bool { return present[role] }), nil
}

// MakeRoles makes the roles of a Globals' script that the instance does not have, with their attributes, settings, comments
// and memberships, all or none. Roles that exist are left as they are. Unless superuser is set, the new ones get neither the
// attributes SUPERUSER, REPLICATION and BYPASSRLS nor the membership of roles that have one or get at files and programs of
// the host. It returns those that it made.
func (i *Instance) MakeRoles(ctx context.Context, globals []byte, superuser bool) ([]string, error) {
	server, err := i.Server(ctx)
	if err != nil {
		return nil, err
	}
	script := splitScript(globals)
	missing, err := i.MissingRoles(ctx, rolesMade(script))
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	present, err := i.query(ctx, presentRoles)
	if err != nil {
		return nil, err
	}
	maker := roleMaker{missing: missing, server: server, superuser: superuser, groups: map[string]bool{}}
	for _, role := range missing {
		maker.groups[role] = true
	}
	for _, row := range present {
		maker.groups[row[0]] = superuser || row[1] == "f"
	}
	conn, err := i.administer(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range append(append([]string{"BEGIN"}, maker.statements(script)...), "COMMIT") {
		if err := run(ctx, conn, sql); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// run runs statements, one after the other, and says no more of them than the server does: they may hold a password.
func run(ctx context.Context, conn *session, statements ...string) error {
	for _, sql := range statements {
		if err := conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read().Err; err != nil {
			return err
		}
	}
	return nil
}

// DropRoles drops roles that MakeRoles made; those that own something by now stay, with an error.
func (i *Instance) DropRoles(ctx context.Context, roles []string) error {
	if len(roles) == 0 {
		return nil
	}
	var names []string
	for _, role := range roles {
		names = append(names, quoteName(role))
	}
	return i.execute(ctx, "DROP ROLE IF EXISTS "+strings.Join(names, ", "))
}

// roleMaker picks from a script what makes the missing roles.
type roleMaker struct {
	missing   []string
	server    Server
	superuser bool
	groups    map[string]bool // the roles that can be given to others; a role of a newer server is none of them
}

func (m roleMaker) makes(role string) bool { return slices.Contains(m.missing, role) }

// statements are those of the script that concern missing roles and nothing else.
func (m roleMaker) statements(script []statement) []string {
	var picked []string
	for _, s := range script {
		switch {
		case s.begins("CREATE", "ROLE") && len(s.words) == 3 && m.makes(s.name(2)),
			s.begins("COMMENT", "ON", "ROLE") && m.makes(s.name(3)),
			s.begins("ALTER", "ROLE") && len(s.words) > 3 && s.words[3].is("SET") && m.makes(s.name(2)):
			picked = append(picked, s.sql)
		case s.begins("ALTER", "ROLE") && len(s.words) > 3 && s.words[3].is("WITH") && m.makes(s.name(2)):
			picked = append(picked, m.attributes(s))
		case s.begins("SECURITY", "LABEL", "FOR") && s.find(4, "ROLE") == 5 && m.makes(s.name(6)):
			picked = append(picked, s.sql)
		case s.begins("GRANT") && len(s.words) > 3 && s.words[2].is("TO") && m.makes(s.name(3)):
			if sql := m.membership(s); sql != "" {
				picked = append(picked, sql)
			}
		}
	}
	return picked
}

// attributes is ALTER ROLE … WITH …, without what is too strong. A role that is no superuser may not even name the
// attributes that it can't give.
func (m roleMaker) attributes(s statement) string {
	var sql strings.Builder
	copied := 0
	for _, w := range s.words[4:] {
		attribute := strings.TrimPrefix(strings.ToUpper(w.text), "NO")
		if m.superuser || w.quoted || !slices.Contains(strong, attribute) {
			continue
		}
		sql.WriteString(s.sql[copied:w.start])
		copied = w.end
	}
	sql.WriteString(s.sql[copied:])
	return sql.String()
}

// membership is GRANT role TO role, by whoever restores; "" where it can't be given.
func (m roleMaker) membership(s statement) string {
	group, member := s.name(1), s.name(3)
	if !m.groups[group] {
		return ""
	}
	sql := "GRANT " + quoteName(group) + " TO " + quoteName(member)
	options := s.sql[s.words[3].end:]
	if by := s.find(4, "GRANTED"); by >= 0 {
		options = s.sql[s.words[3].end:s.words[by].start]
	}
	if m.server.Number < 160000 { // which knows of none but this one
		options = ""
		if at := s.find(4, "ADMIN"); at >= 0 && s.find(at, "OPTION") == at+1 {
			options = " WITH ADMIN OPTION"
		}
	}
	return sql + " " + strings.TrimSpace(options)
}
