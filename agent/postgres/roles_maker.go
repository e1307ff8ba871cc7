package postgres

import (
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// granted are the attributes that a role of a backup gets without more being asked for: how it logs in, and for how long.
// All others reach beyond the restored database: whoever has CREATEROLE grants itself programs of the host before
// PostgreSQL 16, and CREATEDB fills its disk.
var granted = []string{"LOGIN", "NOLOGIN", "INHERIT", "NOINHERIT"}

// strong are those that only a role that has been told to restores.
var strong = []string{
	"SUPERUSER", "NOSUPERUSER", "CREATEROLE", "NOCREATEROLE", "CREATEDB", "NOCREATEDB", "REPLICATION", "NOREPLICATION",
	"BYPASSRLS", "NOBYPASSRLS",
}

// roleMaker picks from a script what makes the missing roles. Nothing of the script is run as it stands: what is picked is
// written again from its words, so that only what is understood gets to the server.
type roleMaker struct {
	missing   []string
	server    Server
	superuser bool            // as they were, whatever they could do
	groups    map[string]bool // the roles that can be given to others; a role of a newer server is none of them
	settings  freeSettings
	leftOut   []string // a sentence for each thing that the script says and nobody gets
}

func (m *roleMaker) makes(role string) bool { return slices.Contains(m.missing, role) }

func (m *roleMaker) leaveOut(role, what string) {
	m.leftOut = append(m.leftOut, "the role "+QuoteName(role)+" "+what)
}

// statements are those that make the missing roles and nothing else.
func (m *roleMaker) statements(script []dump.Statement) []string {
	var picked []string
	add := func(sql string) {
		if sql != "" {
			picked = append(picked, sql)
		}
	}
	for _, s := range script {
		switch {
		case s.Begins("CREATE", "ROLE") && len(s.Words) == 3 && m.makes(s.Name(2)):
			add("CREATE ROLE " + QuoteName(s.Name(2)))
		case s.Begins("COMMENT", "ON", "ROLE") && len(s.Words) == 6 && s.Words[4].Is("IS") && m.makes(s.Name(3)):
			if text, ok := s.Literal(5); ok {
				add("COMMENT ON ROLE " + QuoteName(s.Name(3)) + " IS" + QuoteLiteral(text))
			}
		case s.Begins("SECURITY", "LABEL", "FOR") && s.Find(4, "ROLE") == 5 && len(s.Words) == 9 && s.Words[7].Is("IS") && m.makes(s.Name(6)):
			if text, ok := s.Literal(8); ok {
				add("SECURITY LABEL FOR " + QuoteName(s.Name(3)) + " ON ROLE " + QuoteName(s.Name(6)) + " IS" + QuoteLiteral(text))
			}
		case s.Begins("ALTER", "ROLE") && len(s.Words) > 3 && m.makes(s.Name(2)) && s.Words[3].Is("SET"):
			add(m.setting(s))
		case s.Begins("ALTER", "ROLE") && len(s.Words) > 3 && m.makes(s.Name(2)) && s.Words[3].Is("WITH"):
			add(m.attributes(s))
		case s.Begins("GRANT") && len(s.Words) > 3 && s.Words[2].Is("TO") && m.makes(s.Name(3)):
			add(m.membership(s))
		}
	}
	return picked
}

// attributes is ALTER ROLE … WITH …, without what is too strong. A role that is no superuser may not even name the
// attributes that it can't give.
func (m *roleMaker) attributes(s dump.Statement) string {
	role, sql := s.Name(2), ""
	for n := 4; n < len(s.Words); n++ {
		keyword := strings.ToUpper(s.Words[n].Text)
		value, isText := s.Literal(n + 1)
		text, isTimestamp := s.Literal(n + 2)
		switch {
		case s.Words[n].Quoted:
		case slices.Contains(granted, keyword), m.superuser && slices.Contains(strong, keyword):
			sql += " " + keyword
		case slices.Contains(strong, keyword):
			if !strings.HasPrefix(keyword, "NO") {
				m.leaveOut(role, "does not get the attribute "+keyword)
			}
		case keyword == "PASSWORD" && isText:
			sql += " PASSWORD" + QuoteLiteral(value)
			n++
		case keyword == "VALID" && s.Find(n+1, "UNTIL") == n+1 && isTimestamp:
			sql += " VALID UNTIL" + QuoteLiteral(text)
			n += 2
		case keyword == "CONNECTION" && s.Find(n+1, "LIMIT") == n+1 && isNumber(s.Name(n+2)):
			sql += " CONNECTION LIMIT " + s.Name(n+2)
			n += 2
		default:
			m.leaveOut(role, "lacks an attribute that is not understood")
			return "" // what follows may belong to it
		}
	}
	if sql == "" {
		return ""
	}
	return "ALTER ROLE " + QuoteName(role) + " WITH" + sql
}

func isNumber(text string) bool {
	return text != "" && len(text) < 10 && strings.Trim(text, "0123456789") == ""
}

// setting is ALTER ROLE … SET …, of a parameter that the role could set for itself.
func (m *roleMaker) setting(s dump.Statement) string {
	role, name := s.Name(2), s.Name(4)
	if len(s.Words) < 7 || !s.Words[5].Is("TO") && !s.Words[5].Is("=") {
		return ""
	}
	if !m.superuser && !m.settings.has(name) {
		m.leaveOut(role, "does not get its setting of "+QuoteName(name)+", which only a superuser may set")
		return ""
	}
	var values []string
	for n := 6; n < len(s.Words); n++ {
		value, ok := s.Literal(n)
		switch {
		case n%2 == 1 && s.Name(n) == "," && !s.Words[n].Quoted:
			continue
		case n%2 == 1 || !ok:
			m.leaveOut(role, "does not get its setting of "+QuoteName(name)+", which is not understood")
			return ""
		}
		values = append(values, QuoteLiteral(value))
	}
	return "ALTER ROLE " + QuoteName(role) + " SET " + QuoteName(name) + " TO" + strings.Join(values, ",")
}

// membership is GRANT role TO role, by whoever restores; "" where it can't be given.
func (m *roleMaker) membership(s dump.Statement) string {
	group, member := s.Name(1), s.Name(3)
	if !m.groups[group] {
		m.leaveOut(member, "does not become a member of "+QuoteName(group)+", which the restore did not make")
		return ""
	}
	sql := "GRANT " + QuoteName(group) + " TO " + QuoteName(member)
	var options []string
	for n := 4; n < len(s.Words) && !s.Words[n].Is("GRANTED"); n++ {
		option := strings.ToUpper(s.Name(n))
		if s.Words[n].Quoted || !slices.Contains([]string{"WITH", "ADMIN", "INHERIT", "SET", "OPTION", "TRUE", "FALSE", ","}, option) {
			m.leaveOut(member, "does not become a member of "+QuoteName(group)+", as its options are not understood")
			return ""
		}
		options = append(options, option)
	}
	if m.server.Number < 160000 { // which knows of none but this one
		admin := slices.Index(options, "ADMIN")
		if admin < 0 || admin+1 == len(options) || options[admin+1] != "OPTION" && options[admin+1] != "TRUE" {
			return sql
		}
		return sql + " WITH ADMIN OPTION"
	}
	return strings.TrimSpace(sql + " " + strings.ReplaceAll(strings.Join(options, " "), " ,", ","))
}
