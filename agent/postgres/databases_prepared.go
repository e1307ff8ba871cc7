package postgres

import (
	"context"
	"errors"
	"strings"
)

// errPrepared reports that a file left transactions that wait for their second phase.
var errPrepared = errors.New("it prepares transactions, which no dump does; they were rolled back")

// rollBackPrepared ends the prepared transactions of a database that a restore made, and says whether there were any. They outlive
// their session, hold back the vacuum of the whole server, and let nobody drop or rename the database. Only a superuser and who
// prepared one may do so.
func (d *DatabaseAdmin) rollBackPrepared(ctx context.Context, database string) (any bool, err error) {
	if !strings.HasPrefix(database, OwnPrefix) {
		return false, nil
	}
	rows, err := d.connection.Query(ctx, "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = $1", database)
	if err != nil {
		return false, err
	}
	for _, row := range rows {
		err = errors.Join(err, d.connection.ExecuteIn(ctx, database, "ROLLBACK PREPARED"+QuoteLiteral(row[0])))
	}
	return len(rows) > 0, err
}
