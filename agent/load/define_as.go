package load

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// createAs makes an object by a login of its owner, in a schema of that login alone, then moves it to where it belongs
// and gives it its owner.
func (m *maker) createAs(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, st dump.Statement) error {
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
	kind, name, _ := strings.Cut(d.Owner.Object, schema+".")
	give := "ALTER " + d.Owner.Object + " OWNER TO " + postgres.QuoteName(d.Owner.Role)
	kinds := relationKinds(st, at)
	if kinds == "" {
		if err := m.paths.run(ctx, s, key, moved); err != nil {
			return err
		}
		return s.runTogether(ctx, "ALTER "+kind+scratch+"."+name+" SET SCHEMA "+schema, give)
	}
	made, err := m.makeRelation(ctx, s, key, moved, scratch+"."+name)
	if err != nil {
		return err
	}
	move := relationMove{object: d.Owner.Object, from: scratch, to: schema, name: name, is: relation{oid: made, kind: kinds, owner: login.login}}
	if tablespace != "" && (kinds == tableKinds || kinds == filledKinds) {
		move.then = append(move.then, "ALTER TABLE "+schema+"."+name+" SET TABLESPACE "+tablespace)
	}
	move.then = append(move.then, give)
	return move.do(ctx, s)
}

// The kinds of relation that a statement makes, as the catalog calls them; several are one string.
const (
	tableKinds   = "rp"
	filledKinds  = "m" // materialized views
	viewKinds    = "v"
	foreignKinds = "f"
)

// relationKinds are the kinds of what a statement makes, whose name is at a position; "" if that is no relation.
func relationKinds(st dump.Statement, at int) string {
	switch isTable := st.Words[at-1].Is("TABLE"); {
	case isTable && st.Begins("CREATE", "FOREIGN"):
		return foreignKinds
	case isTable:
		return tableKinds
	case st.Begins("CREATE", "MATERIALIZED"):
		return filledKinds
	case st.Words[at-1].Is("VIEW"):
		return viewKinds
	}
	return ""
}

// makeRelation makes a relation by a login, and returns its oid. It asks for the oid before the end of the transaction,
// when what was deferred runs: that may put something else in its place.
func (m *maker) makeRelation(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, relation string) (oid string, err error) {
	err = m.paths.do(ctx, s, key, d, func(login *loadSession, ctx context.Context, d dump.Definition) error {
		if err := login.set(ctx, d.Settings); err != nil {
			return err
		}
		return login.inTransaction(ctx, func() error {
			if err := login.run(ctx, d); err != nil {
				return err
			}
			rows, err := postgres.Ask(ctx, login.conn, `SELECT pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid`, relation)
			if err == nil {
				oid = rows[0][0]
			}
			return err
		})
	})
	return oid, err
}

// inSchema is a statement with the name at a position in another schema.
func inSchema(st dump.Statement, at int, schema, other string) string {
	begin := st.Words[at].Start
	return st.SQL[:begin] + other + st.SQL[begin+len(schema):]
}
