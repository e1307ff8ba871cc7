package backup

import (
	"context"
	"io"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// inspector reads a dump as it goes by, of whichever format, with a Scanner. Its Write never fails: what it finds wrong
// is for finish to say, when the whole dump has gone by and its hash is known too.
type inspector struct {
	*Scanner
	archive *io.PipeWriter // to pg_restore, which makes SQL of FormatCustom; nil for FormatPlain
	script  chan error     // how pg_restore ended
}

// inspect starts to look at a dump. Its finish must be called.
func (e *Engine) inspect(ctx context.Context, server postgres.Server, format string) *inspector {
	i := &inspector{Scanner: NewScanner()}
	if format != postgres.FormatCustom {
		return i
	}
	reader, writer := io.Pipe()
	i.archive, i.script = writer, make(chan error, 1)
	go func() {
		err := e.Instance.Script(ctx, server, reader, i.Scanner)
		_ = reader.CloseWithError(io.ErrClosedPipe)
		i.script <- err
	}()
	return i
}

// Write implements io.Writer.
func (i *inspector) Write(p []byte) (int, error) {
	if i.archive == nil {
		return i.Scanner.Write(p)
	}
	_, _ = i.archive.Write(p)
	return len(p), nil
}

// finish ends the inspection. broken is why the dump did not come to its end, or nil; only a whole dump is judged.
func (i *inspector) finish(broken error) error {
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
