package postgres

import (
	"context"
)

// unreadableRelations lists what pg_dump would fail on: relations that it reads and the role may not, and tables whose row
// security would hide rows from the role.
const unreadableRelations = `SELECT n.nspname || '.' || c.relname ||
		CASE WHEN may_read THEN ' (row security hides rows of it)' ELSE '' END
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	CROSS JOIN LATERAL (SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')) AS privilege (may_read)
	WHERE c.relkind IN ('r', 'p', 'm', 'S') AND c.relpersistence <> 't'
		AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
			WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
		AND (NOT may_read OR (c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid)))
	ORDER BY 1`

// unreadableObjects is one line for all large objects that the role may not read: there may be millions. pg_read_all_data is
// no right to them, and before PostgreSQL 18 no function says who may read one.
const unreadableObjects = `SELECT 'large object ' || pg_catalog.min(m.oid) ||
		CASE WHEN pg_catalog.count(*) > 1 THEN ' and ' || pg_catalog.count(*) - 1 || ' more' ELSE '' END
	FROM pg_catalog.pg_largeobject_metadata m
	WHERE pg_catalog.current_setting('lo_compat_privileges') = 'off'
		AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER)
		AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(COALESCE(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) g
			WHERE g.privilege_type = 'SELECT' AND (g.grantee = 0 OR pg_catalog.pg_has_role(g.grantee, 'USAGE')))
	HAVING pg_catalog.count(*) > 0`

// Unreadable lists the tables and sequences of a database on which a dump by this role would fail, each with its schema, and
// says which large objects it would fail on.
func (p *Preflight) Unreadable(ctx context.Context, database string) ([]string, error) {
	conn, err := p.connection.Look(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var names []string
	for _, query := range []string{unreadableRelations, unreadableObjects} {
		rows, err := Ask(ctx, conn, query)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			names = append(names, row[0])
		}
	}
	return names, nil
}
