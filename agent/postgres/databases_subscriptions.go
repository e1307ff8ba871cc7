package postgres

import (
	"context"
	"strings"
)

// dropSubscriptions drops the subscriptions of a database that is about to be dropped. Their slots stay on the other server:
// a restored database names those of the one that it is a copy of.
func (d *DatabaseAdmin) dropSubscriptions(ctx context.Context, server Server, database string) error {
	rows, err := d.connection.Query(ctx, "SELECT subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = subdbid WHERE datname = $1", database)
	if err != nil || len(rows) == 0 {
		return err
	}
	conn, err := d.connection.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var sql []string
	for _, setting := range LoadSettings(server) {
		sql = append(sql, "SET "+strings.Replace(setting, "=", " = ", 1))
	}
	for _, row := range rows {
		name := QuoteName(row[0])
		sql = append(sql, "ALTER SUBSCRIPTION "+name+" DISABLE", "ALTER SUBSCRIPTION "+name+" SET (slot_name = NONE)", "DROP SUBSCRIPTION "+name)
	}
	for _, statement := range sql {
		if err := Run(ctx, conn, statement); err != nil {
			return err
		}
	}
	return nil
}
