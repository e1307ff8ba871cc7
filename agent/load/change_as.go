package load

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// changeAs changes a table by the login of its owner, which may lack rights that the one who made it had.
func (m *maker) changeAs(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, c dump.Code, table tableInfo) error {
	if !makesBeside(d.Statement()) {
		m.moving.RLock()
		defer m.moving.RUnlock()
		return m.paths.run(ctx, s, key, d)
	}
	tablespace, settings := d.WithoutTablespace()
	if tablespace == "" || !makesIndex(d.Statement()) {
		return m.makeBesideAs(ctx, s, key, d, c, table)
	}
	d.Settings = settings
	if err := m.makeBesideAs(ctx, s, key, d, c, table); err != nil {
		return err
	}
	schema, _ := dump.SplitQualified(c.Name)
	m.moving.RLock()
	defer m.moving.RUnlock()
	return s.runSQL(ctx, "ALTER INDEX "+schema+"."+madeIndex(d.Statement())+" SET TABLESPACE "+tablespace) // which copies it, and computes nothing
}

// madeIndex is the name of the index that a statement makes, as it stands there.
func madeIndex(st dump.Statement) string {
	at := st.Find(3, "CONSTRAINT") + 1
	if st.Begins("CREATE") {
		at = st.Find(1, "INDEX") + 1
	}
	return st.QualifiedName(at)
}

// makesBeside reports whether a statement makes something in the schema of the table that it is about, or a view again.
// That takes the right to create there, which not every owner has.
func makesBeside(st dump.Statement) bool {
	identity := st.Begins("ALTER", "TABLE") && st.Find(2, "GENERATED") > 0
	return makesIndex(st) || identity || st.Begins("CREATE", "OR", "REPLACE", "VIEW")
}

// madeBeside is the index or the sequence that a statement makes in the schema of its table, by its name and kinds.
func madeBeside(st dump.Statement) relation {
	if makesIndex(st) {
		return relation{name: dump.Unquoted(madeIndex(st)), kind: "iI"}
	}
	generated := st.Find(3, "GENERATED")
	if generated < 0 {
		return relation{}
	}
	name := madeIndex(st)
	if at := st.Find(generated+1, "NAME"); at > 0 { // SEQUENCE NAME
		_, name = dump.SplitQualified(st.QualifiedName(at + 1))
	}
	return relation{name: dump.Unquoted(name), kind: "S"}
}

// makeBesideAs makes such a thing by the login of the table's owner. If that login may not create in the schema, the
// table is moved to a schema of the login's own and back, so that its code gets no right to make anything beside what
// others have.
func (m *maker) makeBesideAs(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, c dump.Code, table tableInfo) error {
	schema, name := dump.SplitQualified(c.Name)
	if table.creates || schema == "" {
		m.moving.RLock()
		defer m.moving.RUnlock()
		return m.paths.run(ctx, s, key, d)
	}
	m.moving.Lock() // statements of other sessions name the table by its schema
	defer m.moving.Unlock()
	login, err := s.session(ctx, key)
	if err != nil {
		return err
	}
	scratch, err := s.scratch(ctx, login)
	if err != nil {
		return err
	}
	is, err := s.catalog.relations(ctx, ofRelations+`c.oid = pg_catalog.to_regclass($1::pg_catalog.text)`, c.Name)
	if err != nil {
		return err
	}
	if len(is) != 1 || is[0].oid != table.oid {
		return &dump.ContentError{Object: "table " + c.Name, Why: "it was changed while the dump was loaded"}
	}
	move := relationMove{object: "table " + c.Name, from: schema, to: scratch, name: name, is: is[0]}
	if move.known, err = s.catalog.relations(ctx, goesAlong, c.Name); err != nil {
		return err
	}
	if err := move.do(ctx, s); err != nil {
		return err
	}
	moved := d
	moved.SQL = movedTo(d.Statement(), c.Name, schema, scratch)
	err = m.paths.run(ctx, s, key, moved)
	move.from, move.to, move.made = scratch, schema, madeBeside(d.Statement())
	if back := move.do(ctx, s); back != nil { // this error first: the table is not what it was
		return back
	}
	return err
}

// movedTo is a statement about a table, and the sequence that it makes, in another schema.
func movedTo(st dump.Statement, table, schema, other string) string {
	sql, shift, found := st.SQL, 0, false
	for at := range st.Words {
		name := st.QualifiedName(at)
		isTable := !found && name == table
		isSequence := at > 0 && st.Words[at-1].Is("NAME") && strings.HasPrefix(name, schema+".")
		if isTable || isSequence {
			begin := st.Words[at].Start + shift
			sql = sql[:begin] + other + sql[begin+len(schema):]
			shift += len(other) - len(schema)
			found = true
		}
	}
	return sql
}

// makesIndex reports whether a statement makes an index.
func makesIndex(st dump.Statement) bool {
	return st.Begins("CREATE", "INDEX") || st.Begins("CREATE", "UNIQUE", "INDEX") || builds(st) && st.Find(3, "CHECK") < 0
}
