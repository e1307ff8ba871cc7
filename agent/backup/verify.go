package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgharbor/pgharbor/agent/archive"
	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/scan"
)

// verified is what a look at a whole file found.
type verified struct {
	source
	size, plainSize int64
	sha, plainSHA   string
	tables          []scan.TableRows
	needs           scan.Needs
	foreign         bool
	archive         *archive.Index // the index of FormatCustom
	definitions     *dump.Definitions
}

// verify reads a whole file, opens it to its end and holds it against its manifest, or, where that is nil, against what
// a dump is by itself. ErrDamaged, ErrIncomplete, ErrForeign, ErrNoPassphrase and ErrWrongPassphrase say what is wrong.
func (f *fileReader) verify(ctx context.Context, file Object, manifest *Manifest, progress *reporter) (*verified, error) {
	src, err := f.open(ctx, file, manifest, progress)
	if err != nil {
		return nil, err
	}
	found, err := f.readAll(ctx, file, src, manifest, progress)
	if found == nil {
		return nil, err
	}
	if manifest != nil {
		if err := found.match(manifest); err != nil {
			return nil, err
		}
	}
	if err == nil && found.foreign {
		err = ErrForeign
	}
	return found, err
}

// open opens the head of a file. Only where that fails, more is read, to tell why. What is no dump is not looked at.
func (f *fileReader) open(ctx context.Context, file Object, manifest *Manifest, progress *reporter) (*source, error) {
	if err := manifest.Restorable(); err != nil {
		return nil, err
	}
	if manifest != nil && file.Size() != manifest.SizeBytes {
		return nil, fmt.Errorf("%w: it has %d bytes, and its manifest says %d", ErrDamaged, file.Size(), manifest.SizeBytes)
	}
	src, err := f.identify(fromStart(file))
	if err != nil && manifest != nil {
		// A file that is not what was stored is damaged, whatever else that looks like.
		err = cmp.Or(matchStored(ctx, file, manifest, progress), err)
	}
	return src, err
}

// readAll reads a file to its end, through the hash of what is stored and, opened, that of what is plain. Where only the
// dump is bad, it returns what it found with the error.
func (f *fileReader) readAll(ctx context.Context, file Object, src *source, manifest *Manifest, progress *reporter) (*verified, error) {
	var server postgres.Server
	if src.format == postgres.FormatCustom {
		var err error
		if server, err = f.instance.Server(ctx); err != nil {
			return nil, err
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	inspector := inspectStored(ctx, f.instance, server, src.format, manifest)
	definitions := dump.NewDefinitions()
	inspector.Definitions = definitions
	plain := newMeter(inspector)
	stored := newMeter(io.Discard)
	reader, writer := io.Pipe()
	opened := make(chan error, 1)
	go func() {
		err := src.copy(ctx, plain, reader)
		_ = reader.CloseWithError(err)
		opened <- err
	}()
	err := distribute(ctx, stop, fromStart(file), progress.add, stored, writer)
	_ = writer.CloseWithError(err)
	if openErr := <-opened; err == nil {
		err = openErr
	}
	fault := inspector.finish(err)
	if err != nil {
		return nil, err
	}
	return &verified{
		source: *src, size: stored.size, sha: stored.sum(), plainSize: plain.size, plainSHA: plain.sum(),
		tables: inspector.Tables(), needs: inspector.Needs(), foreign: inspector.Foreign(), archive: inspector.index,
		definitions: definitions,
	}, src.classify(fault)
}

// copy opens what is stored and writes the plain dump to w, the one while it does the other.
func (s *source) copy(ctx context.Context, w io.Writer, stored io.Reader) error {
	plain, err := s.plain(stored)
	if err == nil {
		err = distribute(ctx, func(error) {}, plain, func(int) {}, w)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	// What was read fine and can't be opened is not what was sealed.
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// classify names what an inspection found of a file that could be opened to its end.
func (s *source) classify(err error) error {
	var tool *postgres.ToolError
	if s.format == postgres.FormatCustom && errors.As(err, &tool) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// match holds what was found against the manifest.
func (v *verified) match(m *Manifest) error {
	switch {
	case v.sha != m.SHA256:
		return hashMismatch(v.sha, m.SHA256)
	case m.PlainSHA256 != "" && (v.plainSHA != m.PlainSHA256 || v.plainSize != m.PlainSizeBytes):
		return fmt.Errorf("%w: the dump in it is not the one of its manifest", ErrDamaged)
	}
	return nil
}

// matchStored holds the stored bytes alone against the manifest.
func matchStored(ctx context.Context, file Object, m *Manifest, progress *reporter) error {
	stored := newMeter(io.Discard)
	err := distribute(ctx, func(error) {}, fromStart(file), progress.add, stored)
	if err == nil && stored.sum() != m.SHA256 {
		err = hashMismatch(stored.sum(), m.SHA256)
	}
	return err
}

func hashMismatch(got, want string) error {
	return fmt.Errorf("%w: its SHA-256 is %s, and its manifest says %s", ErrDamaged, got, want)
}
