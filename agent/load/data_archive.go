package load

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pgharbor/pgharbor/agent/archive"
	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// loadArchive loads the data of an archive: large objects by a pg_restore, the rows of tables by sessions of our own,
// each from its place in the archive; then sequences are set, as in a plain dump.
func (l *dataLoader) loadArchive(ctx context.Context, pass dataPass) error {
	load := *l.archive
	load.Jobs = l.jobs
	a := &archiveLoader{Instance: l.instance, Archive: load, contents: load.Index.Contents, server: l.server, database: l.database}
	if pass.first {
		if err := l.archiveObjects(ctx, a); err != nil {
			return err
		}
	}
	if err := l.archiveRows(ctx, a, pass); err != nil || !pass.last {
		return err
	}
	if again := l.refused.inOrder(); len(again) > 0 {
		if err := l.archiveTables(ctx, a, queued(again), nil, true); err != nil {
			return err
		}
	}
	return a.restore(ctx, a.contents.Sequences())
}

// archiveObjects makes the large objects, and refuses rows that are loaded by anything but COPY.
func (l *dataLoader) archiveObjects(ctx context.Context, a *archiveLoader) error {
	if err := a.restore(ctx, a.contents.LargeObjects()); err != nil {
		return err
	}
	for _, e := range a.contents.Entries {
		if e.Kind == "TABLE DATA" && e.HasData && !e.TableData() {
			return &dump.ContentError{Object: "table " + e.Tag, Why: "its rows are not loaded by COPY"}
		}
	}
	return nil
}

// archiveRows loads the rows of the tables of a pass, and with the first the content of large objects.
func (l *dataLoader) archiveRows(ctx context.Context, a *archiveLoader, pass dataPass) error {
	tables, others := a.blocks()
	tables = slices.DeleteFunc(tables, func(t tableTask) bool {
		name, _ := dump.CopyTarget(t.copySQL)
		return !pass.tables(name)
	})
	jobs := min(l.jobs, len(tables))
	if pass.serial {
		jobs = min(jobs, 1)
		slices.SortFunc(tables, inDump)
	}
	queue := queued(tables)
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(l.jobs)
	if list := a.contents.BesideTables(); pass.first && len(list) > 0 {
		group.Go(func() error { return a.other(inGroup, list, others) })
	}
	for range jobs {
		group.Go(func() error { return l.archiveTables(inGroup, a, queue, &l.refused, pass.serial) })
	}
	return group.Wait()
}

// archiveTables loads one table after the other. In a serial pass it also gives each its guards and rights. Tables
// whose rows the server refuses are put into later, unless that is nil.
func (l *dataLoader) archiveTables(ctx context.Context, a *archiveLoader, tasks <-chan tableTask, later *laterTables, serial bool) error {
	source, err := a.Open()
	if err != nil {
		return err
	}
	sessions := l.source.sessions()
	defer sessions.close(ctx)
	for task := range tasks {
		block, err := a.block(source, task.Block)
		if err != nil {
			return err
		}
		name, copySQL := dump.CopyTarget(task.copySQL)
		err = l.rows.copy(ctx, sessions, name, copySQL, archive.NewCopyReader(block, a.contents.IntSize))
		if err == nil && serial {
			err = l.guards.guard(ctx, sessions, name)
		}
		if err == nil && serial {
			err = l.guards.giveBack(ctx, sessions, name)
		}
		if err = later.take(task, err); err != nil {
			return err
		}
	}
	return nil
}

// blocks are the rows of tables, the largest first unless the archive is best read forward, and all other data.
func (l *archiveLoader) blocks() (tables []tableTask, others []archive.Block) {
	copies := map[int]string{}
	for _, e := range l.contents.Entries {
		if e.TableData() {
			copies[e.ID] = e.CopySQL
		}
	}
	var all []tableTask
	for _, b := range l.Index.Blocks {
		if sql := copies[b.ID]; sql != "" {
			all = append(all, tableTask{b, sql, len(all)})
		} else {
			others = append(others, b)
		}
	}
	if !l.Forward {
		slices.SortStableFunc(all, func(a, b tableTask) int { return cmp.Compare(b.Length, a.Length) })
	}
	return all, others
}

func queued(all []tableTask) chan tableTask {
	tables := make(chan tableTask, len(all))
	for _, table := range all {
		tables <- table
	}
	close(tables)
	return tables
}

// laterTables are tables whose rows the server refused. They are loaded one after the other when all others are: a
// check may read other tables, which come before it in the order of the dump.
type laterTables struct {
	mu  sync.Mutex
	all []tableTask
}

// take keeps a table for later where the server refused its rows; on nil it keeps none. Other errors it returns.
func (l *laterTables) take(task tableTask, err error) error {
	if err == nil || l == nil || !mayPassLater(err) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, task)
	return nil
}

// mayPassLater reports whether rows that were refused may be accepted when other tables are loaded: a check was not
// met, a name was not found, or code raised an error of its own.
func mayPassLater(err error) bool {
	var content *dump.ContentError
	return !errors.As(err, &content) && (postgres.RefusesRows(err) || postgres.NameNotFound(err) || postgres.SQLState(err) == postgres.StateRaised)
}

// inOrder are the tables in the order of the dump.
func (l *laterTables) inOrder() []tableTask {
	return slices.SortedFunc(slices.Values(l.all), inDump)
}

func inDump(a, b tableTask) int { return cmp.Compare(a.order, b.order) }
