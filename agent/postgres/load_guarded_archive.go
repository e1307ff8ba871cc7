package postgres

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

// loadArchive loads the data of an archive: large objects and sequences by a pg_restore, the rows of tables by sessions of
// our own, each from its place in the archive.
func (l *guardedLoader) loadArchive(ctx context.Context) error {
	tool, err := l.findTool(ctx, "pg_restore", l.server)
	if err != nil {
		return err
	}
	load := *l.Archive
	load.Jobs = l.Jobs
	a := &archiveLoader{Instance: l.Instance, ArchiveLoad: load, contents: load.Archive.contents, server: l.server, tool: tool, database: l.database}
	if err := a.restore(ctx, a.contents.largeObjects()); err != nil {
		return err
	}
	for _, e := range a.contents.entries {
		if e.kind == "TABLE DATA" && e.hasData && !e.tableData() {
			return &ContentError{Object: "table " + e.tag, Why: "its rows are not loaded by COPY"}
		}
	}
	tables, others := a.blocks()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(l.Jobs, 1))
	if list := a.contents.otherData(); len(list) > 0 {
		group.Go(func() error { return a.other(ctx, list, others) })
	}
	for range min(max(l.Jobs, 1), len(tables)) {
		group.Go(func() error { return l.archiveTables(ctx, a, tables) })
	}
	return group.Wait()
}

// archiveTables loads one table after the other.
func (l *guardedLoader) archiveTables(ctx context.Context, a *archiveLoader, tasks <-chan tableTask) error {
	source, err := a.Open()
	if err != nil {
		return err
	}
	sessions := l.newSessions()
	defer sessions.close(ctx)
	for task := range tasks {
		block, err := a.block(source, task.archiveBlock)
		if err != nil {
			return err
		}
		name, copySQL := copyTarget(task.copySQL)
		if err := l.copyRows(ctx, sessions, name, copySQL, newCopyReader(block, a.contents.intSize)); err != nil {
			return err
		}
	}
	return nil
}

// blocks are the rows of tables, the largest first unless the archive is best read forward, and all other data.
func (l *archiveLoader) blocks() (tables chan tableTask, others []archiveBlock) {
	copies := map[int]string{}
	for _, e := range l.contents.entries {
		if e.tableData() {
			copies[e.id] = e.copySQL
		}
	}
	var all []tableTask
	for _, b := range l.Archive.blocks {
		if sql := copies[b.id]; sql != "" {
			all = append(all, tableTask{b, sql})
		} else {
			others = append(others, b)
		}
	}
	if !l.Forward {
		slices.SortStableFunc(all, func(a, b tableTask) int { return cmp.Compare(b.length, a.length) })
	}
	tables = make(chan tableTask, len(all))
	for _, table := range all {
		tables <- table
	}
	close(tables)
	return tables, others
}
