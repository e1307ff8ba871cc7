package load

import (
	"context"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// relationMove moves a relation from one schema to another. Code of its owner can run while it is in a login's schema,
// and must not be able to make anything in the other one. So nothing else may move there in its place or beside it.
type relationMove struct {
	object         string // what the dump calls it
	from, to, name string // two schemas and its name, quoted
	// is says what moves: the very relation that was made or was there before. Its kind may be one of several.
	is    relation
	known []relation // what moves with it
	made  relation   // what was made there and moves with it too, by its name and kinds; "" is nothing
	then  []string   // statements in the same transaction
}

// do moves it in a transaction, and undoes that if something else was moved. The move itself locks the relation.
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

// check refuses, after the move, what is not what was to be moved.
func (m relationMove) check(ctx context.Context, s *loadSessions) error {
	moved := m.to + "." + m.name
	found, err := s.catalog.relations(ctx, ofRelations+`c.oid = pg_catalog.to_regclass($1::pg_catalog.text)`, moved)
	if err != nil {
		return err
	}
	if len(found) != 1 || found[0].oid != m.is.oid || found[0].owner != m.is.owner || !strings.Contains(m.is.kind, found[0].kind) {
		return &dump.ContentError{Object: m.object, Why: "code in the dump put something else in its place while it was made"}
	}
	along, err := s.catalog.relations(ctx, goesAlong, moved)
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
