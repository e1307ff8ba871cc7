package postgres

import (
	"context"
	"strconv"
	"strings"
)

// createAs makes an object by a login, in a schema of that login alone, moves it to where it belongs and gives it its owner.
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
	if key.nobody != "" {
		if err := l.letLook(ctx, s, login, st); err != nil {
			return err
		}
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
	if key.nobody != "" {
		if err := l.untouched(ctx, s, login, d.owner.object); err != nil {
			return err
		}
	}
	if err := s.runSQL(ctx, "ALTER "+d.owner.object+" OWNER TO "+quoteName(d.owner.role)); err != nil || key.nobody == "" {
		return err
	}
	return l.forget(ctx, s, key)
}

// touched are what the role $1 owns that has more than its own statement gives a new object: rights, triggers, rules, policies,
// children.
const touched = `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE r.rolname = $1 AND (c.relacl IS NOT NULL
		OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid) OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid)
		OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN') OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)
		OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL))
	UNION ALL SELECT p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_roles r ON r.oid = p.proowner WHERE r.rolname = $1 AND p.proacl IS NOT NULL
	UNION ALL SELECT t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_roles r ON r.oid = t.typowner WHERE r.rolname = $1 AND t.typacl IS NOT NULL`

// untouched makes sure that code which ran as a login of nobody put nothing on what the login made, and gave nobody rights to it: it
// is to be somebody else's.
func (l *guardedLoader) untouched(ctx context.Context, s *loadSessions, login *loadSession, object string) error {
	found, err := s.query(ctx, touched, login.user())
	if err == nil && len(found) > 0 {
		err = &ContentError{Object: object, Why: "code in the dump changed " + strconv.Quote(found[0][0]) + " while it was made"}
	}
	return err
}

// forget ends a login of nobody, with all that it has.
func (l *guardedLoader) forget(ctx context.Context, s *loadSessions, key sessionKey) error {
	login := s.open[key].user()
	s.end(ctx, key)
	return l.grant(ctx, s, "DROP OWNED BY "+quoteName(login))
}

// inSchema is a statement with the name at a position in another schema.
func inSchema(st statement, at int, schema, other string) string {
	begin := st.words[at].start
	return st.sql[:begin] + other + st.sql[begin+len(schema):]
}

// letLook lets a login without rights find the names in a statement.
func (l *guardedLoader) letLook(ctx context.Context, s *loadSessions, login *loadSession, st statement) error {
	seen := map[string]bool{}
	for _, name := range st.ownNames(st.words) {
		schema, _ := splitQualified(name)
		if seen[schema] {
			continue
		}
		seen[schema] = true
		rows, err := s.query(ctx, "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1", unquoted(schema))
		if err != nil {
			return err
		}
		if len(rows) == 0 { // the alias of a table
			continue
		}
		if err := l.grant(ctx, s, "GRANT USAGE ON SCHEMA "+schema+" TO "+quoteName(login.user())); err != nil {
			return err
		}
	}
	return nil
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
