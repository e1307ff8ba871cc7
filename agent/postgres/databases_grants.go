package postgres

import (
	"context"
	"slices"
)

// keepGrantors leaves to the owner what the session's role can't give as who gave it.
func (p *Properties) keepGrantors(ctx context.Context, conn *Session) error {
	for n, g := range p.Grants {
		if g.Grantor == "" {
			continue
		}
		rows, err := Ask(ctx, conn, "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1 AND pg_catalog.pg_has_role(oid, 'MEMBER')", g.Grantor)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			p.Grants[n].Grantor = ""
		}
	}
	return nil
}

// grants are the SQL that gives the privileges on a database, each by who gave it: a grant can be taken back by its grantor, and goes with
// the grantor's own. Who gives comes after what it gives by.
func (p Properties) grants(database string) []string {
	var sql []string
	left := slices.DeleteFunc(slices.Clone(p.Grants), func(g Grant) bool {
		return !slices.Contains(databasePrivileges, g.Privilege) // it would be written into the statement as it is
	})
	given := map[string]bool{} // the grant options, by privilege and role
	for len(left) > 0 {
		var later []Grant
		for _, g := range left {
			if g.Grantor != "" && !given[g.Privilege+" "+g.Grantor] {
				later = append(later, g)
				continue
			}
			sql = append(sql, g.statements(database)...)
			given[g.Privilege+" "+g.Role] = given[g.Privilege+" "+g.Role] || g.Grantable
		}
		if len(later) == len(left) { // nobody could have given these
			break
		}
		left = later
	}
	return sql
}

func (g Grant) statements(database string) []string {
	grant := "GRANT " + g.Privilege + " ON DATABASE " + database + " TO " + g.grantee()
	if g.Grantor == "" {
		return []string{grant}
	}
	return []string{"SET ROLE " + QuoteName(g.Grantor), grant, "RESET ROLE"}
}

func (g Grant) grantee() string {
	switch {
	case g.Role == "":
		return "PUBLIC"
	case g.Grantable:
		return QuoteName(g.Role) + " WITH GRANT OPTION"
	default:
		return QuoteName(g.Role)
	}
}
