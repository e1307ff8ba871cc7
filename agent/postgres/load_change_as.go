package postgres

import (
	"context"
	"strings"
)

// changeAs changes a table by the login of its owner, which may lack rights that whoever made it had.
func (l *guardedLoader) changeAs(ctx context.Context, s *loadSessions, key sessionKey, d definition, c code, table tableInfo) error {
	if !makesBeside(d.statement()) {
		l.moving.RLock()
		defer l.moving.RUnlock()
		return l.runWithPaths(ctx, s, key, d)
	}
	tablespace, settings := d.withoutTablespace()
	if tablespace == "" || !makesIndex(d.statement()) {
		return l.makeBesideAs(ctx, s, key, d, c, table)
	}
	d.settings = settings
	if err := l.makeBesideAs(ctx, s, key, d, c, table); err != nil {
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

// makesBeside says whether a statement makes something in the schema of the table that it is about, or a view anew: that takes the right
// to create there, which not every owner has.
func makesBeside(st statement) bool {
	identity := st.begins("ALTER", "TABLE") && st.find(2, "GENERATED") > 0
	return makesIndex(st) || identity || st.begins("CREATE", "OR", "REPLACE", "VIEW")
}

// madeBeside is the name of the index or the sequence that a statement makes in the schema of its table.
func madeBeside(st statement) string {
	name := madeIndex(st)
	if at := st.find(st.find(3, "GENERATED")+1, "NAME"); !makesIndex(st) && at > 0 { // SEQUENCE NAME
		_, name = splitQualified(st.qualifiedName(at + 1))
	}
	return unquoted(name)
}

// makeBesideAs makes such a thing by the login of the table's owner. Where that may not create in the schema, the table is moved to a schema
// of the login's own for the time, so that its code gets no right to make anything beside what others have.
func (l *guardedLoader) makeBesideAs(ctx context.Context, s *loadSessions, key sessionKey, d definition, c code, table tableInfo) error {
	schema, name := splitQualified(c.name)
	if table.creates || schema == "" {
		l.moving.RLock()
		defer l.moving.RUnlock()
		return l.runWithPaths(ctx, s, key, d)
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
	along, err := s.oids(ctx, goesAlong, c.name)
	if err != nil {
		return err
	}
	if err := move(schema, scratch); err != nil {
		return err
	}
	moved := d
	moved.sql = movedTo(d.statement(), c.name, schema, scratch)
	err = l.runWithPaths(ctx, s, key, moved)
	if err == nil {
		err = nothingElse(ctx, s, "table "+c.name, scratch+"."+name, append(along, madeBeside(d.statement()))...)
	}
	if back := move(scratch, schema); err == nil {
		err = back
	}
	return err
}

// movedTo is a statement about a table, and the sequence that it makes, in another schema.
func movedTo(st statement, table, schema, other string) string {
	sql, shift, found := st.sql, 0, false
	for at := range st.words {
		name := st.qualifiedName(at)
		isTable := !found && name == table
		isSequence := at > 0 && st.words[at-1].is("NAME") && strings.HasPrefix(name, schema+".")
		if isTable || isSequence {
			begin := st.words[at].start + shift
			sql = sql[:begin] + other + sql[begin+len(schema):]
			shift += len(other) - len(schema)
			found = true
		}
	}
	return sql
}

// makesIndex says whether a statement makes an index.
func makesIndex(st statement) bool {
	return st.begins("CREATE", "INDEX") || st.begins("CREATE", "UNIQUE", "INDEX") || builds(st) && st.find(3, "CHECK") < 0
}
