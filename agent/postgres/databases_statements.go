package postgres

import (
	"fmt"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// databasePrivileges are all that there are on a database.
var databasePrivileges = []string{"CREATE", "CONNECT", "TEMPORARY", "TEMP"}

// withoutValue is a statement without what it sets: that may be a secret.
func withoutValue(sql string) string {
	before, _, _ := strings.Cut(sql, " TO E'")
	before, _, _ = strings.Cut(before, " IS E'")
	return before
}

// Statements are the SQL that gives a new database these properties, each without a semicolon.
func (p Properties) Statements(database string) []string {
	name := QuoteName(database)
	var sql []string
	if p.Owner != "" {
		sql = append(sql, "ALTER DATABASE "+name+" OWNER TO "+QuoteName(p.Owner))
	}
	if p.ConnectionLimit != -1 {
		sql = append(sql, fmt.Sprintf("ALTER DATABASE %s CONNECTION LIMIT %d", name, p.ConnectionLimit))
	}
	if p.Comment != "" {
		sql = append(sql, "COMMENT ON DATABASE "+name+" IS"+QuoteLiteral(p.Comment))
	}
	if p.Grants == nil {
		sql = append(sql, openToAll(database))
	} else {
		sql = append(sql, "REVOKE ALL ON DATABASE "+name+" FROM PUBLIC")
		if p.Owner != "" {
			sql = append(sql, "REVOKE ALL ON DATABASE "+name+" FROM "+QuoteName(p.Owner))
		}
	}
	sql = append(sql, p.grants(name)...)
	for _, s := range p.Settings {
		if strings.HasPrefix(s.Name, settingsPrefix) {
			continue // it speaks of the one database
		}
		subject := "ALTER DATABASE " + name
		if s.Role != "" {
			subject = "ALTER ROLE " + QuoteName(s.Role) + " IN DATABASE " + name
		}
		sql = append(sql, subject+" SET "+QuoteName(s.Name)+" TO"+s.value())
	}
	for _, l := range p.Labels {
		sql = append(sql, "SECURITY LABEL FOR "+QuoteName(l.Provider)+" ON DATABASE "+name+" IS"+QuoteLiteral(l.Text))
	}
	return sql
}

// lists are the parameters whose value is a list of names, which the server keeps in the form in which it reads it: set
// as one string, the whole would become one name. Source: GUC_LIST_QUOTE in PostgreSQL 18.
var lists = map[string]bool{
	"local_preload_libraries": true, "search_path": true, "session_preload_libraries": true,
	"shared_preload_libraries": true, "temp_tablespaces": true, "unix_socket_directories": true,
}

func (s Setting) value() string {
	if !lists[strings.ToLower(s.Name)] {
		return QuoteLiteral(s.Value)
	}
	var names []string
	for rest := s.Value; rest != ""; {
		w, length := dump.ReadWord([]byte(rest))
		if text := strings.TrimSpace(w.Text); text != "," && (text != "" || w.Quoted) {
			names = append(names, QuoteLiteral(w.Text))
		}
		rest = rest[length:]
	}
	if len(names) == 0 {
		return QuoteLiteral("")
	}
	return strings.Join(names, ",")
}
