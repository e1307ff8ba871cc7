package postgres

import (
	"context"
	"strings"
)

// createAs makes an object by a login of its owner, in a schema of that login alone, moves it to where it belongs and gives it its owner.
func (l *guardedLoader) createAs(ctx context.Context, s *loadSessions, key sessionKey, d definition, st statement) error {
	at := st.createdAt()
	schema, _ := splitQualified(st.qualifiedName(at))
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
	tablespace, settings := d.withoutTablespace()
	moved := definition{sql: inSchema(st, at, schema, scratch), settings: settings}
	if err := l.runWithPaths(ctx, s, key, moved, true); err != nil {
		return err
	}
	kind, name, _ := strings.Cut(d.owner.object, schema+".")
	statements := []string{"ALTER " + kind + scratch + "." + name + " SET SCHEMA " + schema}
	if tablespace != "" && strings.TrimSpace(kind) == "TABLE" {
		statements = append(statements, "ALTER TABLE "+schema+"."+name+" SET TABLESPACE "+tablespace)
	}
	for _, sql := range statements {
		if err := s.runSQL(ctx, sql); err != nil {
			return err
		}
	}
	return s.runSQL(ctx, "ALTER "+d.owner.object+" OWNER TO "+quoteName(d.owner.role))
}

// inSchema is a statement with the name at a position in another schema.
func inSchema(st statement, at int, schema, other string) string {
	begin := st.words[at].start
	return st.sql[:begin] + other + st.sql[begin+len(schema):]
}

// scratch is a schema of a login's own, made at first need. It goes with the login.
func (s *loadSessions) scratch(ctx context.Context, login *loadSession) (string, error) {
	if login.scratch == "" {
		name := quoteName(login.user())
		if err := s.runSQL(ctx, "CREATE SCHEMA "+name+" AUTHORIZATION "+name); err != nil {
			return "", err
		}
		login.scratch = name
	}
	return login.scratch, nil
}

// changeAs changes a table by the login of its owner. An index needs the right to create in the table's schema, which not every
// owner has: then the table is moved to a schema of the login's own for the time, so that its code gets no right to make anything
// beside what others have.
func (l *guardedLoader) changeAs(ctx context.Context, s *loadSessions, key sessionKey, d definition, c code, table tableInfo) error {
	schema, name := splitQualified(c.name)
	st := d.statement()
	if table.creates || schema == "" || !makesIndex(st) {
		l.moving.RLock()
		defer l.moving.RUnlock()
		return l.runWithPaths(ctx, s, key, d, true)
	}
	l.moving.Lock() // statements of other sessions name the table by its schema
	defer l.moving.Unlock()
	login, err := s.session(ctx, key)
	if err != nil {
		return err
	}
	scratch, err := s.scratch(ctx, login)
	if err != nil {
		return err
	}
	move := func(from, to string) error {
		return s.runSQL(ctx, "ALTER TABLE "+from+"."+name+" SET SCHEMA "+to)
	}
	if err := move(schema, scratch); err != nil {
		return err
	}
	moved := d
	for at := range st.words {
		if st.qualifiedName(at) == c.name {
			moved.sql = inSchema(st, at, schema, scratch)
			break
		}
	}
	err = l.runWithPaths(ctx, s, key, moved, true)
	if back := move(scratch, schema); err == nil {
		err = back
	}
	return err
}

// makesIndex says whether a statement makes an index.
func makesIndex(st statement) bool {
	return st.begins("CREATE", "INDEX") || st.begins("CREATE", "UNIQUE", "INDEX") || builds(st) && st.find(3, "CHECK") < 0
}
