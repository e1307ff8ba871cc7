package load

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/pgharbor/pgharbor/agent/archive"
	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// ArchiveSource reads an archive in the custom format. It is for one goroutine.
type ArchiveSource interface {
	// From returns a reader of length bytes of the archive from an offset on. The reader before it is not used any more.
	From(offset, length int64) (io.Reader, error)
}

// Archive is a load of an archive by several sessions at once.
type Archive struct {
	Index *archive.Index // of the same bytes; Usable
	// Open returns a source for each session.
	Open func() (ArchiveSource, error)
	// Forward says that a source reads on much faster than it goes back.
	Forward bool
	Jobs    int // sessions at once; at least 1
	// SearchPath is the one to load with; empty is the empty path that the dump sets.
	SearchPath string
	OnRead     func(n int) // bytes of the archive that were loaded; may be called by several goroutines at a time
	OnTable    func()      // the rows of a table are loaded; may be called by several goroutines at a time
}

// Into restores an archive into a database that is to be dropped if it fails: its definitions, then the rows of its
// tables over several connections, each read from its own place in the archive, then indexes, constraints and rights by
// pg_restore with jobs. No part of the archive gets to a disk: pg_restore reads the table of contents from memory.
// ErrChanged says that the archive is not what was indexed.
func (load Archive) Into(ctx context.Context, i *postgres.Instance, database string) error {
	server, err := i.Server(ctx)
	if err != nil {
		return err
	}
	contents := load.Index.Contents
	if load.SearchPath != "" {
		if contents, err = contents.WithSearchPath(postgres.SearchPathTo(load.SearchPath)); err != nil {
			return err
		}
	}
	l := &archiveLoader{Instance: i, Archive: load, contents: contents, server: server, database: database}
	if err := l.restore(ctx, contents.Definitions(), "--single-transaction"); err != nil {
		return err
	}
	if err := l.data(ctx); err != nil {
		return err
	}
	return l.restore(ctx, contents.IndexesAndRights(), "--jobs="+strconv.Itoa(max(load.Jobs, 1)))
}

type archiveLoader struct {
	*postgres.Instance
	Archive
	contents *archive.Contents
	server   postgres.Server
	database string
}

// settings are those of our own sessions.
func (l *archiveLoader) settings() []string {
	return append(postgres.LoadSettings(l.server), postgres.NoWait)
}

// tableTask is the rows of one table.
type tableTask struct {
	archive.Block
	copySQL string
	order   int // in the dump
}

// data loads the rows of all tables, the largest first unless the archive is best read forward, and all other data at
// the same time. Rows whose load may look into other tables come last, in the order of the dump.
func (l *archiveLoader) data(ctx context.Context) error {
	all, others := l.blocks()
	var later laterTables
	if err := l.setAside(ctx, &all, &later); err != nil {
		return err
	}
	tasks := queued(all)
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(max(l.Jobs, 1))
	if list := l.contents.OtherData(); len(list) > 0 {
		group.Go(func() error { return l.other(inGroup, list, others, "--single-transaction") })
	}
	for range min(max(l.Jobs, 1), len(tasks)) {
		group.Go(func() error { return l.tables(inGroup, tasks, &later) })
	}
	if err := group.Wait(); err != nil || len(later.all) == 0 {
		return err
	}
	return l.tables(ctx, queued(later.inOrder()), nil)
}

// setAside puts tables whose rows may look into others among those for later.
func (l *archiveLoader) setAside(ctx context.Context, all *[]tableTask, later *laterTables) error {
	conn, err := l.Look(ctx, l.database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var names []string
	for _, task := range *all {
		name, _ := dump.CopyTarget(task.copySQL)
		names = append(names, name)
	}
	calling, err := callingTables(ctx, conn, names, mayQuery(l.server), mayRead)
	if err != nil {
		return err
	}
	*all = slices.DeleteFunc(*all, func(task tableTask) bool {
		name, _ := dump.CopyTarget(task.copySQL)
		if calling[name] {
			later.all = append(later.all, task)
		}
		return calling[name]
	})
	return nil
}

// restore runs pg_restore for the listed entries, none of which has data in the archive.
func (l *archiveLoader) restore(ctx context.Context, list []byte, how ...string) error {
	return l.RestoreEntries(ctx, l.database, list, l.contents.Raw, nil, how...)
}

// other restores what is no table: pg_restore reads the contents and then the blocks of it.
func (l *archiveLoader) other(ctx context.Context, list []byte, blocks []archive.Block, how ...string) error {
	source, err := l.Open()
	if err != nil {
		return err
	}
	var readers []io.Reader
	for _, b := range blocks {
		readers = append(readers, &lateReader{open: func() (io.Reader, error) { return l.block(source, b) }})
	}
	return l.RestoreEntries(ctx, l.database, list, l.contents.Raw, io.MultiReader(readers...), how...)
}

// block reads a block from its place.
func (l *archiveLoader) block(source ArchiveSource, b archive.Block) (io.Reader, error) {
	src, err := source.From(b.Offset, b.Length)
	if err != nil {
		return nil, err
	}
	return &countedReader{src: l.Index.BlockReader(src, b), read: l.OnRead}, nil
}

// lateReader is opened by its first Read.
type lateReader struct {
	open func() (io.Reader, error)
	src  io.Reader
}

func (r *lateReader) Read(p []byte) (n int, err error) {
	if r.src == nil {
		if r.src, err = r.open(); err != nil {
			return 0, err
		}
	}
	return r.src.Read(p)
}

// countedReader tells of what is read, and keeps the error of its source.
type countedReader struct {
	src    io.Reader
	read   func(n int)
	failed error
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.read(n)
	if err != nil && err != io.EOF {
		r.failed = err
	}
	return n, err
}

// tables loads one table after the other over its own connection. Tables whose rows the server refuses are put into
// later, unless that is nil.
func (l *archiveLoader) tables(ctx context.Context, tasks <-chan tableTask, later *laterTables) error {
	source, err := l.Open()
	if err != nil {
		return err
	}
	conn, err := l.Connect(ctx, l.database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	session := l.contents.Session() + "SET row_security = off; SET xmloption = content; SET lock_timeout = 0;" +
		"SET idle_in_transaction_session_timeout = 0; SET client_min_messages = warning;"
	for _, setting := range l.settings() {
		name, value, _ := strings.Cut(setting, "=")
		session += "SET " + name + " = " + value + ";"
	}
	if _, err := conn.Exec(ctx, session).ReadAll(); err != nil {
		return err
	}
	for task := range tasks {
		err := l.table(ctx, conn, source, task)
		if err == nil {
			l.OnTable()
			continue
		}
		if err = later.take(task, err); err == nil {
			err = postgres.Run(ctx, conn, "ROLLBACK")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ownTable reports whether a table is one that the archive has made, and not part of an extension with its own rows.
const ownTable = `SELECT FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.regclass AND c.relkind = 'r' AND NOT EXISTS
	(SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')`

// table loads the rows of one table. Into one that is new, in the same transaction as nothing else, they are written as
// what everybody sees, so that nobody has to write its pages again for that.
func (l *archiveLoader) table(ctx context.Context, conn *postgres.Session, source ArchiveSource, task tableTask) error {
	name, copySQL := dump.CopyTarget(task.copySQL)
	own := conn.ExecParams(ctx, ownTable, [][]byte{[]byte(name)}, nil, nil, nil).Read()
	if own.Err != nil {
		return fmt.Errorf("table %s: %w", name, own.Err)
	}
	begin := "BEGIN"
	if len(own.Rows) == 1 {
		begin, copySQL = "BEGIN; TRUNCATE ONLY "+name, copySQL+" WITH (FREEZE)"
	}
	if _, err := conn.Exec(ctx, begin).ReadAll(); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	block, err := l.block(source, task.Block)
	if err != nil {
		return err
	}
	rows := &countedReader{src: archive.NewCopyReader(block, l.contents.IntSize), read: func(int) {}}
	if _, err := conn.CopyFrom(ctx, rows, copySQL); err != nil || rows.failed != nil {
		return fmt.Errorf("table %s: %w", name, cmp.Or(rows.failed, err))
	}
	if _, err := conn.Exec(ctx, "COMMIT").ReadAll(); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	return nil
}
