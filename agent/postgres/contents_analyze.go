package postgres

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// analyzable lists what ANALYZE looks at, the largest first.
const analyzable = `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND (c.relkind <> 'm' OR c.relispopulated) ORDER BY c.relpages DESC, 1`

// Analyze collects the planner's statistics of a whole database, over several sessions at once.
func (c *Contents) Analyze(ctx context.Context, database string, sessions int) error {
	conn, err := c.connection.Look(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	found, err := Ask(ctx, conn, analyzable)
	if err != nil {
		return err
	}
	tables := make(chan string, len(found))
	for _, row := range found {
		tables <- row[0]
	}
	close(tables)
	group, ctx := errgroup.WithContext(ctx)
	for range max(sessions, 1) {
		group.Go(func() error { return c.analyze(ctx, database, tables) })
	}
	return group.Wait()
}

// analyze takes one table after the other. A table of another owner is passed over with a warning, as ANALYZE of the whole
// does. ANALYZE runs the functions of indexes and statistics with the rights of the table's owner. They find no names that have no
// schema, as when the server collects statistics by itself: along a path they might find somebody else's.
func (c *Contents) analyze(ctx context.Context, database string, tables <-chan string) error {
	conn, err := c.connection.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for table := range tables {
		if err := Run(ctx, conn, "ANALYZE "+table); err != nil && !NameNotFound(err) {
			return err
		}
	}
	return nil
}
