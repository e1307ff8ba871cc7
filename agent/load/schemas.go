package load

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// schemaGiver gives schemas their owners when all is loaded.
type schemaGiver struct {
	rights   *rights
	ofPublic []dump.Definition // the grants that the schema public comes with
	later    []dump.Definition // that give schemas their owners
}

// schemaGrants are the grants on a schema $1 as statements, but those to its owner.
const schemaGrants = `SELECT pg_catalog.format('GRANT %s ON SCHEMA %s TO %s', a.privilege_type, n.oid::pg_catalog.regnamespace,
		CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::pg_catalog.text END)
	FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) AS a
	WHERE n.oid = pg_catalog.to_regnamespace($1::pg_catalog.text) AND a.grantee <> n.nspowner`

// grantees are the roles that have something of a schema $1 by its owner.
const grantees = `SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::pg_catalog.text END
	FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) AS a
	WHERE n.oid = pg_catalog.to_regnamespace($1::pg_catalog.text) AND a.grantor = n.nspowner`

// publicSchema is the schema that is there already.
const publicSchema = "public"

// keepPublic keeps what the schema public comes with: a dump says what differs from that.
func (g *schemaGiver) keepPublic(ctx context.Context, s *loadSessions) error {
	rows, err := s.catalog.query(ctx, schemaGrants, publicSchema)
	for _, row := range rows {
		g.ofPublic = append(g.ofPublic, dump.Definition{SQL: row[0]})
	}
	return err
}

// postpone keeps a statement that gives a schema its owner, who may make objects there from now on.
func (g *schemaGiver) postpone(ctx context.Context, s *loadSessions, d dump.Definition, schema, role string) error {
	g.later = append(g.later, d)
	return s.runSQL(ctx, "GRANT USAGE, CREATE ON SCHEMA "+schema+" TO "+postgres.QuoteName(role))
}

// give gives schemas their owners, and each the rights on it again.
//
// While a schema was another role's, a grant to its future owner did nothing, and that role had the right to create
// there, which becomes its own when the owner changes. So all rights are taken back, and the grants of the dump are run
// again. No login is left by now.
func (g *schemaGiver) give(ctx context.Context, s *loadSessions) error {
	for _, d := range g.later {
		if err := s.run(ctx, d); err != nil {
			return err
		}
		object, role := dump.OwnerChange(d.Statement())
		schema := strings.TrimPrefix(object, "SCHEMA ")
		rows, err := s.catalog.query(ctx, grantees, schema)
		if err != nil {
			return err
		}
		var grants []dump.Definition
		for _, row := range rows {
			grants = append(grants, dump.Definition{SQL: "REVOKE ALL ON SCHEMA " + schema + " FROM " + row[0] + " CASCADE"})
		}
		grants = append(grants, dump.Definition{SQL: "GRANT ALL ON SCHEMA " + schema + " TO " + postgres.QuoteName(role)})
		if schema == publicSchema {
			grants = append(grants, g.ofPublic...)
		}
		if err := s.runAll(ctx, append(grants, g.rights.on(object)...)); err != nil {
			return err
		}
	}
	return nil
}
