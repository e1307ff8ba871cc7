package backup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/pgharbor/pgharbor/agent/archive"
	"github.com/pgharbor/pgharbor/agent/load"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
)

// maxJobs bounds the sessions of a restore where nobody says how many it may have.
const maxJobs = 4

// defaultSearchPath is what sessions begin with where nothing is set.
const defaultSearchPath = `"$user", public`

// loader fills empty databases of one server.
type loader struct {
	instance *postgres.Instance
	jobs     int // sessions at a time
}

// content is a verified dump that is about to be loaded.
type content struct {
	*verified
	file Object
	kept *globals // nil where nothing is kept beside it, or nobody may use it
}

// reader opens the dump in a verified file a second time, to be loaded.
func (c content) reader(progress *reporter) (*checkedReader, error) {
	plain, err := c.plain(fromStart(c.file))
	if err != nil {
		return nil, err
	}
	progress.of(len(c.tables))
	return &checkedReader{src: plain, hash: sha256.New(), want: c.plainSHA, read: progress.add, seen: tableTeller(c.format, progress)}, nil
}

// checkedReader puts ErrDamaged in the place of io.EOF where what was read has not the hash that it should have.
type checkedReader struct {
	src  io.Reader
	hash hash.Hash
	want string
	read func(n int)
	seen io.Writer // of what was read; it returns no error
}

// Read implements io.Reader.
func (r *checkedReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.hash.Write(p[:n])
	_, _ = r.seen.Write(p[:n])
	r.read(n)
	if err == io.EOF && hex.EncodeToString(r.hash.Sum(nil)) != r.want {
		err = fmt.Errorf("%w: it changed after it was verified", ErrDamaged)
	}
	return n, err
}

// load fills an empty database. A dump empties the search path, and most want it so; where the function of a check, an
// index or a materialized view looks for a name in it and does not find it, the database is made again and filled with the
// search path that its sessions begin with.
func (l *loader) load(ctx context.Context, temporary string, like postgres.Database, from content, progress *reporter) error {
	err := l.loadWith(ctx, temporary, from, "", progress)
	if err == nil || !postgres.NameNotFound(err) || ctx.Err() != nil {
		return err
	}
	if again := l.instance.DropDatabase(ctx, temporary); again != nil {
		return errors.Join(err, again)
	}
	if again := l.instance.CreateDatabase(ctx, temporary, like); again != nil {
		return errors.Join(err, again)
	}
	progress.restart()
	if again := l.loadWith(ctx, temporary, from, from.kept.searchPath(), progress); again != nil {
		return again
	}
	return nil
}

// rolePaths are the search paths that roles have in the database.
func (g *globals) rolePaths() map[string]string {
	paths := map[string]string{}
	if g != nil {
		for _, s := range g.properties.Settings {
			if s.Role != "" && s.Name == "search_path" {
				paths[s.Role] = s.Value
			}
		}
	}
	return paths
}

// owner is who owned the database; "" where that is not known.
func (g *globals) owner() string {
	if g == nil {
		return ""
	}
	return g.properties.Owner
}

// searchPath is the one that sessions of the database begin with, as far as the backup knows.
func (g *globals) searchPath() string {
	return cmp.Or(g.ownSearchPath(), defaultSearchPath)
}

// settings are those of the database, by their names.
func (g *globals) settings() map[string]string {
	settings := map[string]string{}
	if g != nil {
		for _, s := range g.properties.Settings {
			if s.Role == "" {
				settings[s.Name] = s.Value
			}
		}
	}
	return settings
}

// ownSearchPath is the one that is set for the database; "" is none.
func (g *globals) ownSearchPath() string {
	if g != nil {
		for _, s := range g.properties.Settings {
			if s.Role == "" && s.Name == "search_path" {
				return s.Value
			}
		}
	}
	return ""
}

// loadWith reads the dump once more, and holds what it reads against what was verified: should it differ, nothing is
// committed, or the database is none that stays.
func (l *loader) loadWith(ctx context.Context, temporary string, from content, searchPath string, progress *reporter) error {
	if from.archive != nil && from.archive.Usable() {
		progress.of(len(from.tables))
		err := load.Archive{
			Index: from.archive, Open: func() (load.ArchiveSource, error) { return from.open() },
			Forward: from.compressed, Jobs: l.jobs, SearchPath: searchPath, OnRead: progress.add, OnTable: progress.object,
		}.Into(ctx, l.instance, temporary)
		if errors.Is(err, archive.ErrChanged) || errors.Is(err, seal.ErrCorrupt) {
			err = fmt.Errorf("%w: it changed after it was verified", ErrDamaged)
		}
		if err != nil {
			err = loadError{err}
		}
		return err
	}
	checked, err := from.reader(progress)
	if err != nil {
		return err
	}
	var dump io.Reader = checked
	if searchPath != "" && from.format == postgres.FormatPlain {
		dump = postgres.WithSearchPath(checked, searchPath, headSize)
	}
	return l.instance.Load(ctx, temporary, from.format, dump)
}

// loadError is what ended a load in sessions of ours: what came before it, such as a database that could not be made, is none.
type loadError struct{ error }

// Unwrap returns what the server or a tool answered.
func (e loadError) Unwrap() error { return e.error }

// open returns a source of the plain archive in a file, for one session.
func (c content) open() (load.ArchiveSource, error) {
	if c.compressed {
		return &forwardSource{source: &c.source, file: c.file, size: c.size}, nil
	}
	if c.opener == nil {
		return plainSource{c.file}, nil
	}
	opener, ok := c.opener.(seal.OpenerAt)
	if !ok {
		return &forwardSource{source: &c.source, file: c.file, size: c.size}, nil
	}
	at, err := opener.OpenAt(c.file)
	if err != nil {
		return nil, err
	}
	return sealedSource{at}, nil
}

type plainSource struct{ file io.ReaderAt }

func (s plainSource) From(offset, length int64) (io.Reader, error) {
	return io.NewSectionReader(s.file, offset, length), nil
}

type sealedSource struct{ at seal.Ranges }

func (s sealedSource) From(offset, length int64) (io.Reader, error) {
	return s.at.From(offset, length), nil
}

// forwardSource opens the file from its start, passes over what is not wanted, and begins again to go back.
type forwardSource struct {
	source *source
	file   io.ReaderAt
	size   int64
	plain  io.Reader
	at     int64
}

func (s *forwardSource) From(offset, length int64) (io.Reader, error) {
	if s.plain == nil || offset < s.at {
		plain, err := s.source.plain(io.NewSectionReader(s.file, 0, s.size))
		if err != nil {
			return nil, err
		}
		s.plain, s.at = plain, 0
	}
	if _, err := io.CopyN(io.Discard, s, offset-s.at); err != nil {
		return nil, err
	}
	return io.LimitReader(s, length), nil
}

// Read implements io.Reader.
func (s *forwardSource) Read(p []byte) (int, error) {
	n, err := s.plain.Read(p)
	s.at += int64(n)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", archive.ErrChanged, err) // it could be read to its end before
	}
	return n, err
}
