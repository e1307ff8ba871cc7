package backup

import (
	"context"
	"io"

	"github.com/pgharbor/pgharbor/agent/archive"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/scan"
)

// inspector reads a dump as it goes by, of whichever format, with a Scanner. Its Write never fails: what it finds wrong
// is for finish to say, when the whole dump has gone by and its hash is known too.
type inspector struct {
	*scan.Scanner
	archive *io.PipeWriter   // to pg_restore, which makes SQL of FormatCustom; nil for FormatPlain
	script  chan error       // how pg_restore ended
	index   *archive.Index   // where the data of FormatCustom are; nil where nobody asks
	counted []scan.TableRows // of the manifest, which then stands for what the Scanner would count
	define  func(*archive.Index) error
}

// inspect starts to look at a dump. Its finish must be called.
func inspect(ctx context.Context, instance *postgres.Instance, server postgres.Server, format string) *inspector {
	i := &inspector{Scanner: scan.NewScanner()}
	if format != postgres.FormatCustom {
		return i
	}
	reader, writer := io.Pipe()
	i.archive, i.script = writer, make(chan error, 1)
	go func() {
		err := instance.Script(ctx, server, reader, i.Scanner)
		_ = reader.CloseWithError(io.ErrClosedPipe)
		i.script <- err
	}()
	return i
}

// inspectStored is inspect for a file. An archive is indexed; where the manifest has the hash of one that was read to its
// end as it was made, only its definitions are made SQL of: that its rows are the same, the hash says.
func inspectStored(ctx context.Context, instance *postgres.Instance, server postgres.Server, format string, m *Manifest) *inspector {
	if format != postgres.FormatCustom {
		return inspect(ctx, instance, server, format)
	}
	counted, known := m.countedTables()
	if !known || !m.Complete || m.PlainSHA256 == "" {
		i := inspect(ctx, instance, server, format)
		i.index = archive.New()
		return i
	}
	i := &inspector{Scanner: scan.NewScanner(), index: archive.New(), counted: counted}
	i.define = func(archive *archive.Index) error {
		return instance.ScriptDefinitions(ctx, server, archive, i.Scanner)
	}
	return i
}

// Write implements io.Writer.
func (i *inspector) Write(p []byte) (int, error) {
	if i.index != nil {
		_, _ = i.index.Write(p)
	}
	if i.define != nil {
		return len(p), nil
	}
	if i.archive == nil {
		return i.Scanner.Write(p)
	}
	_, _ = i.archive.Write(p)
	return len(p), nil
}

// Tables returns the rows of each table, in the order of the dump.
func (i *inspector) Tables() []scan.TableRows {
	if i.define != nil {
		return i.counted
	}
	return i.Scanner.Tables()
}

// finish ends the inspection. broken is why the dump did not come to its end, or nil; only a whole dump is evaluated.
func (i *inspector) finish(broken error) error {
	if i.define != nil {
		if broken != nil || !i.index.Usable() {
			return nil // its hash says whether it is; it is restored as a whole
		}
		return i.define(i.index)
	}
	if i.archive != nil {
		_ = i.archive.CloseWithError(broken)
		if err := <-i.script; err != nil && broken == nil {
			return err
		}
	}
	if broken == nil && !i.Complete() {
		return ErrIncomplete
	}
	return nil
}
