package postgres

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// analyzable lists what ANALYZE looks at, the largest first.
const analyzable = `SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c
	WHERE relkind IN ('r', 'm', 'p') AND relpersistence <> 't' AND (relkind <> 'm' OR relispopulated) ORDER BY relpages DESC, 1`

// Analyze collects the planner's statistics of a whole database, over several sessions at once.
func (i *Instance) Analyze(ctx context.Context, database string, sessions int) error {
	conn, err := i.connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "SET search_path = ''").ReadAll(); err != nil {
		return err
	}
	found := conn.ExecParams(ctx, analyzable, nil, nil, nil, nil).Read()
	if found.Err != nil {
		return found.Err
	}
	tables := make(chan string, len(found.Rows))
	for _, row := range found.Rows {
		tables <- string(row[0])
	}
	close(tables)
	group, ctx := errgroup.WithContext(ctx)
	for range max(sessions, 1) {
		group.Go(func() error { return i.analyze(ctx, database, tables) })
	}
	return group.Wait()
}

// analyze takes one table after the other. A table of another owner is passed over with a warning, as ANALYZE of the whole
// does.
func (i *Instance) analyze(ctx context.Context, database string, tables <-chan string) error {
	conn, err := i.connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for table := range tables {
		if err := run(ctx, conn, "ANALYZE "+table); err != nil {
			return err
		}
	}
	return nil
}
