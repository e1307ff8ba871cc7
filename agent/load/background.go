package load

import (
	"context"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// holdBackground keeps what the server does by itself in the database from changing anything in it, until release.
//
// An autovacuum may come at any time. It runs functions of owners, as the owner: those of a column's range type, and later of indexes. These
// may do what their owner may, beside a statement of the superuser that was looked at: such as to make an index on a table that is about to be
// read. A transaction that only reads can't, and can't be made another in its midst. Our own sessions say for themselves that they write.
func (l *loader) holdBackground(ctx context.Context) (release func(context.Context) error, err error) {
	if !l.owners.mixed {
		return func(context.Context) error { return nil }, nil
	}
	const setting = " default_transaction_read_only"
	alter := "ALTER DATABASE " + postgres.QuoteName(l.database)
	return func(ctx context.Context) error {
		return l.Execute(ctx, alter+" RESET"+setting)
	}, l.Execute(ctx, alter+" SET"+setting+" = on")
}
