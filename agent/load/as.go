package load

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// createAs makes an object by a login of its owner, in a schema of that login alone, moves it to where it belongs and gives it its owner.
func (l *loader) createAs(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, st dump.Statement) error {
	at := st.CreatedAt()
	schema, _ := dump.SplitQualified(st.QualifiedName(at))
	if schema == "" {
		return errNotDumped
	}
	login, err := s.session(ctx, key)
	if err != nil {
		return err
	}
	scratch, err := s.scratch(ctx, login)
	if err != nil {
		return err
	}
	tablespace, settings := d.WithoutTablespace()
	moved := dump.Definition{SQL: inSchema(st, at, schema, scratch), Settings: settings}
	if err := l.runWithPaths(ctx, s, key, moved); err != nil {
		return err
	}
	kind, name, _ := strings.Cut(d.Owner.Object, schema+".")
	if strings.HasSuffix(kind, "TABLE ") || strings.HasSuffix(kind, "VIEW ") {
		if err := nothingElse(ctx, s, d.Owner.Object, scratch+"."+name); err != nil {
			return err
		}
	}
	statements := []string{"ALTER " + kind + scratch + "." + name + " SET SCHEMA " + schema}
	if tablespace != "" && (st.Words[at-1].Is("TABLE") && !st.Begins("CREATE", "FOREIGN") || st.Begins("CREATE", "MATERIALIZED")) {
		statements = append(statements, "ALTER TABLE "+schema+"."+name+" SET TABLESPACE "+tablespace)
	}
	for _, sql := range statements {
		if err := s.runSQL(ctx, sql); err != nil {
			return err
		}
	}
	return s.runSQL(ctx, "ALTER "+d.Owner.Object+" OWNER TO "+postgres.QuoteName(d.Owner.Role))
}

// inSchema is a statement with the name at a position in another schema.
func inSchema(st dump.Statement, at int, schema, other string) string {
	begin := st.Words[at].Start
	return st.SQL[:begin] + other + st.SQL[begin+len(schema):]
}

// scratch is a schema of a login's own, made at first need. It goes with the login.
func (s *loadSessions) scratch(ctx context.Context, login *loadSession) (string, error) {
	if login.scratch == "" {
		name := postgres.QuoteName(login.user())
		if err := s.runSQL(ctx, "CREATE SCHEMA "+name+" AUTHORIZATION "+name); err != nil {
			return "", err
		}
		login.scratch = name
	}
	return login.scratch, nil
}
