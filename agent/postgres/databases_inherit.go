package postgres

import (
	"context"
	"fmt"
)

// inherit gives a database that was just made what another has beside its content: its properties, and what may be done
// with it. It works within the transaction of the session, and all of it succeeds or nothing.
func inherit(ctx context.Context, conn *Session, from, to string) error {
	rows, err := Ask(ctx, conn, properties, from)
	switch {
	case err != nil:
		return err
	case len(rows) == 0:
		return fmt.Errorf("%w: %q", ErrNoDatabase, from)
	}
	old, err := readProperties(from, rows[0][0])
	if err != nil {
		return err
	}
	if err := old.keepGrantors(ctx, conn); err != nil {
		return err
	}
	rows, err = Ask(ctx, conn, `SELECT datistemplate::pg_catalog.text, datallowconn::pg_catalog.text FROM pg_catalog.pg_database WHERE datname = $1`, from)
	if err != nil {
		return err
	}
	use := fmt.Sprintf("ALTER DATABASE %s IS_TEMPLATE %s ALLOW_CONNECTIONS %s", QuoteName(to), rows[0][0], rows[0][1])
	for _, sql := range append(old.Statements(to), use) {
		if err := Run(ctx, conn, sql); err != nil {
			return fmt.Errorf("what database %q has beside its content can't be carried over (%s): %w", from, withoutValue(sql), err)
		}
	}
	return nil
}
