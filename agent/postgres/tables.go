package postgres

import "context"

// Tables lists the tables that a dump has rows of: no views, no parents of partitions, nothing of the system.
func (i *Instance) Tables(ctx context.Context, database string) ([]Table, error) {
	conn, err := i.Look(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	listed := conn.ExecParams(ctx, `SELECT n.nspname, c.relname
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
		ORDER BY 1, 2`, nil, nil, nil, nil).Read()
	tables := make([]Table, len(listed.Rows))
	for n, row := range listed.Rows {
		tables[n] = Table{Schema: string(row[0]), Name: string(row[1])}
	}
	return tables, listed.Err
}

// Roles lists the roles of the instance, but for PostgreSQL's own.
func (i *Instance) Roles(ctx context.Context) ([]string, error) {
	rows, err := i.Query(ctx, `SELECT rolname FROM pg_catalog.pg_roles WHERE rolname NOT LIKE 'pg\_%' ORDER BY 1`)
	names := make([]string, len(rows))
	for n, row := range rows {
		names[n] = row[0]
	}
	return names, err
}
