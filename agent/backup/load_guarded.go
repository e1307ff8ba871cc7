package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgharbor/pgharbor/agent/archive"
	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/load"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
)

// ErrContent reports that something in a dump can't be loaded so that its code gains nothing by it.
var ErrContent = errors.New("the dump holds code that would run with more rights than its owner has")

// loadGuarded fills an empty database so that none of the dump's code runs with more rights than its owner has, and returns
// how many rows of each table the server took.
func (e *Engine) loadGuarded(ctx context.Context, database string, file Object, found *verified, kept *globals, progress *reporter, warn func(string)) (map[postgres.Table]int64, error) {
	guarded := load.Guarded{
		Definitions: found.definitions, SearchPath: kept.ownSearchPath(), RolePaths: kept.rolePaths(), Settings: kept.settings(), Owner: kept.owner(),
		Jobs: e.restoreJobs(), OnTable: progress.object, OnWarning: warn,
	}
	progress.of(len(found.tables))
	if found.archive != nil && found.archive.Usable() {
		guarded.Archive = &load.Archive{
			Index: found.archive, Open: func() (load.ArchiveSource, error) { return found.from(file) },
			Forward: found.compressed, OnRead: progress.add,
		}
		rows, err := guarded.Into(ctx, e.Instance, database)
		return rows, guardedError(err)
	}
	guarded.Plain = func(ctx context.Context) (io.Reader, func() error, error) {
		checked, err := found.reader(file, progress)
		if err != nil {
			return nil, nil, err
		}
		checked.seen = io.Discard // each table is told when it is loaded
		src, closeSource := e.plainOf(ctx, found.format, checked)
		return src, closeSource, nil
	}
	rows, err := guarded.Into(ctx, e.Instance, database)
	return rows, guardedError(err)
}

// guardedError names what a load found.
func guardedError(err error) error {
	var content *dump.ContentError
	switch {
	case errors.Is(err, archive.ErrChanged), errors.Is(err, seal.ErrCorrupt):
		return fmt.Errorf("%w: it changed after it was verified", ErrDamaged)
	case errors.As(err, &content) && !postgres.LacksLogin(err) && !postgres.DiskFull(err): // those are the host's fault, and not the dump's
		return fmt.Errorf("%w: %w", ErrContent, err)
	}
	return err
}

// plainOf is a dump as SQL: what it is, or what pg_restore makes of an archive that has no index. The function that it
// returns ends pg_restore, and says how that ended by itself.
func (e *Engine) plainOf(ctx context.Context, format string, dump io.Reader) (io.Reader, func() error) {
	if format != postgres.FormatCustom {
		return dump, func() error { return nil }
	}
	reader, writer := io.Pipe()
	scripted := make(chan error, 1)
	go func() {
		server, err := e.Instance.Server(ctx)
		if err == nil {
			err = e.Instance.Script(ctx, server, dump, writer)
		}
		_ = writer.CloseWithError(err)
		scripted <- err
	}()
	return reader, func() error {
		_ = reader.CloseWithError(io.ErrClosedPipe)
		return <-scripted
	}
}

// compareLoaded holds the rows that the server took against those that went by in the dump.
func (e *Engine) compareLoaded(got map[postgres.Table]int64, want []TableRows, req RestoreRequest) error {
	progress := e.begin(req.OnProgress, PhaseCompare, 0).of(len(want))
	for _, table := range want {
		if rows := got[table.table()]; rows != table.Rows {
			return fmt.Errorf("%w: %s.%s took %d rows, and the backup has %d", ErrRowsDiffer, table.Schema, table.Name, rows, table.Rows)
		}
	}
	progress.end()
	return nil
}
