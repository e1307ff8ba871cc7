package postgres

import "context"

// Roles lists the roles of the instance, but for PostgreSQL's own.
func (i *Instance) Roles(ctx context.Context) ([]string, error) {
	rows, err := i.Query(ctx, `SELECT rolname FROM pg_catalog.pg_roles WHERE rolname NOT LIKE 'pg\_%' ORDER BY 1`)
	names := make([]string, len(rows))
	for n, row := range rows {
		names[n] = row[0]
	}
	return names, err
}
