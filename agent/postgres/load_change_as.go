package postgres

import "context"

// changeAs changes a table by the login of its owner, which may lack rights that whoever made it had.
func (l *guardedLoader) changeAs(ctx context.Context, s *loadSessions, key sessionKey, d definition, c code, table tableInfo) error {
	if !makesIndex(d.statement()) {
		l.moving.RLock()
		defer l.moving.RUnlock()
		return l.runWithPaths(ctx, s, key, d, true)
	}
	tablespace, settings := d.withoutTablespace()
	if tablespace == "" {
		return l.indexAs(ctx, s, key, d, c, table)
	}
	d.settings = settings
	if err := l.indexAs(ctx, s, key, d, c, table); err != nil {
		return err
	}
	schema, _ := splitQualified(c.name)
	l.moving.RLock()
	defer l.moving.RUnlock()
	return s.runSQL(ctx, "ALTER INDEX "+schema+"."+madeIndex(d.statement())+" SET TABLESPACE "+tablespace) // which copies it, and computes nothing
}

// madeIndex is the name of the index that a statement makes, as it stands there.
func madeIndex(st statement) string {
	at := st.find(3, "CONSTRAINT") + 1
	if st.begins("CREATE") {
		at = st.find(1, "INDEX") + 1
	}
	return st.qualifiedName(at)
}

// indexAs makes an index by the login of its table's owner. That needs the right to create in the table's schema, which not every owner
// has: then the table is moved to a schema of the login's own for the time, so that its code gets no right to make anything beside what
// others have.
func (l *guardedLoader) indexAs(ctx context.Context, s *loadSessions, key sessionKey, d definition, c code, table tableInfo) error {
	schema, name := splitQualified(c.name)
	if table.creates || schema == "" {
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
	moved, st := d, d.statement()
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
