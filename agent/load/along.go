package load

import (
	"context"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// relation is a table, a view, an index or a sequence, as the catalog has it.
type relation struct{ oid, name, kind, owner string }

// ofRelations is such things c, which are chosen by what comes after it.
const ofRelations = `SELECT c.oid, c.relname, c.relkind, r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE `

// goesAlong are those that go to another schema with the relation $1: its indexes, and the sequences of its columns.
const goesAlong = ofRelations + `c.oid IN (SELECT x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid = pg_catalog.to_regclass($1::pg_catalog.text))
	OR c.relkind = 'S' AND c.oid IN (SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
		AND d.refclassid = d.classid AND d.refobjid = pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid AND d.deptype IN ('a', 'i'))`

// relations asks for them.
func (s *loadSessions) relations(ctx context.Context, sql string, args ...string) ([]relation, error) {
	rows, err := s.query(ctx, sql, args...)
	var found []relation
	for _, row := range rows {
		found = append(found, relation{oid: row[0], name: row[1], kind: row[2], owner: row[3]})
	}
	return found, err
}

// relationMove moves a relation from one schema to another. Code of its owner runs while it is in a schema of a login's, and may make nothing
// where it goes; so nothing else is to go there in its place or beside it.
type relationMove struct {
	object         string // what the dump calls it
	from, to, name string // two schemas and its name, quoted
	// is says what goes: the very relation that was made or was there before. Its kind may be one of several.
	is    relation
	known []relation // what goes along with it
	made  relation   // what goes along, too, and was made there, by its name and kinds; "" is nothing
	then  []string   // statements in the same transaction
}

// do moves it, in a transaction, and undoes that where something else went: the move itself locks it.
func (m relationMove) do(ctx context.Context, s *loadSessions) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	return admin.inTransaction(ctx, func() error {
		err := s.runSQL(ctx, "ALTER TABLE "+m.from+"."+m.name+" SET SCHEMA "+m.to) // whatever kind it is
		if postgres.NameNotFound(err) {
			return &dump.ContentError{Object: m.object, Why: "code in the dump took it away while it was made", Err: err}
		}
		if err != nil {
			return err
		}
		if err := m.check(ctx, s); err != nil {
			return err
		}
		for _, sql := range m.then {
			if err := s.runSQL(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// check refuses what is not what was to go, when it is there.
func (m relationMove) check(ctx context.Context, s *loadSessions) error {
	moved := m.to + "." + m.name
	found, err := s.relations(ctx, ofRelations+`c.oid = pg_catalog.to_regclass($1::pg_catalog.text)`, moved)
	if err != nil {
		return err
	}
	if len(found) != 1 || found[0].oid != m.is.oid || found[0].owner != m.is.owner || !strings.Contains(m.is.kind, found[0].kind) {
		return &dump.ContentError{Object: m.object, Why: "code in the dump put something else in its place while it was made"}
	}
	along, err := s.relations(ctx, goesAlong, moved)
	if err != nil {
		return err
	}
	for _, r := range along {
		made := r.name == m.made.name && strings.Contains(m.made.kind, r.kind)
		if !made && !slices.Contains(m.known, r) {
			return &dump.ContentError{Object: m.object, Why: postgres.QuoteName(r.name) + " was put beside it while it was made"}
		}
	}
	return nil
}
