package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// attributes are what a role of a throwaway server has as it had it. Passwords and the right to log in are not among them:
// nobody logs in there, and hashes are not for what is restored to see.
var attributes = []string{"SUPERUSER", "INHERIT", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"}

// MakeRolesAlike makes the roles of a Globals' script that the server does not have, with the attributes and memberships that
// they had, on a throwaway server: what row security shows a role, and what it may own, depends on these.
func (r *RoleAdmin) MakeRolesAlike(ctx context.Context, globals []byte) error {
	server, err := r.connection.Server(ctx)
	if err != nil {
		return err
	}
	script := dump.SplitScript(globals)
	missing, err := r.MissingRoles(ctx, rolesMade(script))
	if err != nil {
		return err
	}
	maker := &roleMaker{missing: missing, server: server, superuser: true}
	if maker.groups, err = r.groups(ctx, missing, true); err != nil {
		return err
	}
	return r.connection.executeTogether(ctx, maker.likenesses(script))
}

// likenesses are the statements that make roles which can do what those of the script could, and no more of them.
func (m *roleMaker) likenesses(script []dump.Statement) []string {
	var made []string
	for _, s := range script {
		switch {
		case s.Begins("CREATE", "ROLE") && len(s.Words) == 3 && m.makes(s.Name(2)):
			made = append(made, "CREATE ROLE "+QuoteName(s.Name(2))+" NOLOGIN")
		case s.Begins("ALTER", "ROLE") && len(s.Words) > 3 && s.Words[3].Is("WITH") && m.makes(s.Name(2)):
			made = append(made, "ALTER ROLE "+QuoteName(s.Name(2))+" WITH NOLOGIN "+strings.Join(attributesIn(s), " "))
		case s.Begins("GRANT") && len(s.Words) > 3 && s.Words[2].Is("TO") && m.makes(s.Name(3)):
			if sql := m.membership(s); sql != "" {
				made = append(made, sql)
			}
		}
	}
	return made
}

// attributesIn are the ones that ALTER ROLE … WITH … gives or takes, as it writes them.
func attributesIn(s dump.Statement) []string {
	var found []string
	for _, w := range s.Words[4:] {
		word := strings.ToUpper(w.Text)
		if !w.Quoted && (slices.Contains(attributes, word) || slices.Contains(attributes, strings.TrimPrefix(word, "NO"))) {
			found = append(found, word)
		}
	}
	return found
}
