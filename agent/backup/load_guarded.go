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
func (l *loader) loadGuarded(ctx context.Context, database string, from content, progress *reporter, warn func(string)) (map[postgres.Table]int64, error) {
	guarded := load.Guarded{
		Definitions: from.definitions, SearchPath: from.kept.ownSearchPath(), RolePaths: from.kept.rolePaths(), Settings: from.kept.settings(), Owner: from.kept.owner(),
		Jobs: l.jobs, OnTable: progress.object, OnWarning: warn,
	}
	progress.of(len(from.tables))
	if from.archive != nil && from.archive.Usable() {
		guarded.Archive = &load.Archive{
			Index: from.archive, Open: func() (load.ArchiveSource, error) { return from.open() },
			Forward: from.compressed, OnRead: progress.add,
		}
		rows, err := guarded.Into(ctx, l.instance, database)
		return rows, guardedError(err)
	}
	guarded.Plain = func(ctx context.Context) (io.Reader, func() error, error) {
		checked, err := from.reader(progress)
		if err != nil {
			return nil, nil, err
		}
		checked.seen = io.Discard // each table is told when it is loaded
		src, closeSource := l.plainOf(ctx, from.format, checked)
		return src, closeSource, nil
	}
	rows, err := guarded.Into(ctx, l.instance, database)
	return rows, guardedError(err)
}

// guardedError names what a load from.
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
func (l *loader) plainOf(ctx context.Context, format string, dump io.Reader) (io.Reader, func() error) {
	if format != postgres.FormatCustom {
		return dump, func() error { return nil }
	}
	reader, writer := io.Pipe()
	scripted := make(chan error, 1)
	go func() {
		server, err := l.instance.Server(ctx)
		if err == nil {
			err = l.instance.Script(ctx, server, dump, writer)
		}
		_ = writer.CloseWithError(err)
		scripted <- err
	}()
	return reader, func() error {
		_ = reader.CloseWithError(io.ErrClosedPipe)
		return <-scripted
	}
}
