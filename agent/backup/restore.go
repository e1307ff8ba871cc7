package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"regexp"
	"time"

	"github.com/pgharbor/pgharbor/agent/load"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// dropTimeout bounds the dropping of a temporary database after the context of the restore has ended.
const dropTimeout = time.Minute

var restoreIDs = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// RestoreRequest asks to restore a file into a new database, or in the place of one.
type RestoreRequest struct {
	// From is where the backup is read from.
	From Source
	// Manifest is what the file is held against. Nil for a file that has none, which is then verified as far as it can
	// be: it opens, and it has the end marker of a dump.
	Manifest *Manifest
	// Target is the database to make; it must not exist, unless Replace is set.
	Target string
	// Replace lets the restored database take the place of Target, which is kept under another name.
	Replace bool
	// BeforeSwap, which may be nil, hears what is about to replace what, when the restored database stands; its error
	// leaves everything as it was.
	BeforeSwap func(Replacement) error
	// RestoreID names the temporary database, pgharbor_restore_<id>: 1 to 40 characters of [a-z0-9-].
	RestoreID string
	// WithRoles is RolesMissing or RolesSuperuser to make roles before the load; empty makes none.
	WithRoles string
	// Confined says that nobody knows who made the file: it is loaded as a role that has the new database and nothing
	// else, which owns in the end all that is in it.
	Confined bool
	// TrustContent loads with all the rights that the agent has what can't be loaded as its owners.
	TrustContent bool
	// Origin is how the maker of the file is known; the database is marked with it where the load is confined.
	Origin     OriginKind
	OnProgress func(Progress) // as in BackupRequest
	OnWarning  func(string)   // may be nil; hears what the restored database lacks
	OnRoles    func([]string) // may be nil; hears which roles were made
}

// Restore verifies a file as a whole, restores it into a temporary database, counts its rows and gives it the target's
// name at the very end. After an error the temporary database is gone, unless the server is too: then CleanUp drops it.
func (e *Engine) Restore(ctx context.Context, req RestoreRequest) error {
	if !restoreIDs.MatchString(req.RestoreID) {
		return fmt.Errorf("%q is no id of a restore", req.RestoreID)
	}
	file, err := openFrom(req.From)
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := e.prepare(ctx, file, req)
	if err != nil {
		return err
	}
	kept, err := e.openGlobals(req)
	if req.Confined {
		kept, err = nil, req.confinable()
	}
	if err != nil {
		return err
	}
	roles, err := e.makeRoles(ctx, found, kept, req)
	if err != nil {
		return err
	}
	temporary := temporaryPrefix + req.RestoreID
	err = e.fill(ctx, temporary, file, found, kept, req)
	if err == nil && req.Confined {
		err = e.mark(ctx, temporary, req)
	}
	if err == nil {
		err = e.putInPlace(ctx, temporary, kept, req)
	}
	if errors.Is(err, postgres.ErrDatabaseExists) {
		err = fmt.Errorf("%w: %q", ErrTargetExists, req.Target)
	}
	if err != nil {
		dropCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
		defer cancel()
		if dropErr := e.Instance.DropDatabase(dropCtx, temporary); dropErr != nil {
			err = fmt.Errorf("%w; its temporary database %s is left: %w", err, temporary, dropErr)
		} else if dropErr := errors.Join(e.Instance.DropRoles(dropCtx, roles), e.dropOwnRoles(dropCtx, temporary)); dropErr != nil {
			err = fmt.Errorf("%w; the roles that it made are left: %w", err, dropErr)
		}
	}
	return err
}

// openFrom opens what is stored of a backup; ErrNotFound where it is gone.
func openFrom(from Source) (Object, error) {
	file, err := from.Open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return file, err
}

// prepare looks ahead and then verifies the file as a whole. Nothing is touched so far.
func (e *Engine) prepare(ctx context.Context, file Object, req RestoreRequest) (*verified, error) {
	look := &lookAhead{Engine: e, req: req}
	look.begin(ctx, file)
	known := look.needs != nil
	if known {
		look.end(ctx)
	}
	if err := look.failed(ctx); err != nil {
		return nil, err
	}
	found, err := e.verify(ctx, file, req.Manifest, look.reading(file))
	if err != nil {
		return nil, err
	}
	if !known {
		look.needs = &found.needs
		look.end(ctx)
	}
	return found, look.failed(ctx)
}

// putInPlace gives the restored database its name, and what it has beside its content: that of the one that it replaces,
// or else of the one that was backed up.
func (e *Engine) putInPlace(ctx context.Context, temporary string, kept *globals, req RestoreRequest) error {
	progress := e.begin(req.OnProgress, PhaseSwap, 0).of(1)
	var plan *Replacement
	var err error
	if req.Replace {
		plan, err = e.planSwap(ctx, temporary, req.Target, req.RestoreID)
	}
	switch {
	case err != nil:
	case plan != nil:
		err = e.swapIn(ctx, *plan, temporary, req)
	default:
		if err = e.bringProperties(ctx, temporary, kept, req); err == nil {
			err = e.Instance.RenameDatabase(ctx, temporary, req.Target)
		}
	}
	if err == nil {
		progress.end()
	}
	return err
}

// fill makes the temporary database and loads the dump into it. The dump is hashed again on its way: should it not be
// what was verified, the tool is killed before it could commit.
func (e *Engine) fill(ctx context.Context, temporary string, file Object, found *verified, kept *globals, req RestoreRequest) error {
	// A restore of the same id may have died before.
	if err := errors.Join(e.Instance.DropDatabase(ctx, temporary), e.dropOwnRoles(ctx, temporary)); err != nil {
		return err
	}
	like, err := e.likeness(ctx, req.Manifest, found.head)
	if err != nil {
		return err
	}
	if req.Replace {
		if like.Tablespace, err = e.Instance.Tablespace(ctx, req.Target); err != nil {
			return err
		}
	}
	if err := e.Instance.CreateDatabase(ctx, temporary, like); err != nil {
		return err
	}
	progress := e.begin(req.OnProgress, PhaseRestore, found.plainSize)
	if req.Confined {
		checked, err := found.reader(file, progress)
		if err != nil {
			return err
		}
		return e.loadConfined(ctx, temporary, found, checked, req)
	}
	if err := e.loadFor(ctx, temporary, like, file, found, kept, req, progress); err != nil {
		return err
	}
	e.begin(req.OnProgress, PhaseAnalyze, 0)
	// What the planner knows is no part of what was backed up, and the server makes it again by itself.
	if err := e.Instance.Analyze(ctx, temporary, e.restoreJobs()); err != nil {
		if ctx.Err() != nil {
			return err
		}
		req.warn("statistics, in full: " + err.Error() + "; run ANALYZE in it")
	}
	return nil
}

// loadFor loads a dump with the rights of its owners, or, where somebody trusts it, with those of the agent, and compares the rows.
func (e *Engine) loadFor(ctx context.Context, temporary string, like postgres.Database, file Object, found *verified, kept *globals, req RestoreRequest, progress *reporter) error {
	if !req.TrustContent {
		rows, err := e.loadGuarded(ctx, temporary, file, found, kept, progress, req.warn)
		if err != nil {
			return err
		}
		return e.compareLoaded(rows, found.tables, req)
	}
	takeBack, err := load.LendPublic(ctx, e.Instance, temporary, kept.owner(), found.definitions)
	if err != nil {
		return err
	}
	if err := e.load(ctx, temporary, like, file, found, kept, progress); err != nil {
		return err // the database goes, and what was lent with it
	}
	if err := takeBack(ctx); err != nil {
		return err
	}
	return e.compareRows(ctx, e.Instance, temporary, found.tables, req)
}

// dropOwnRoles drops the roles that a load into a temporary database made, which is gone.
func (e *Engine) dropOwnRoles(ctx context.Context, temporary string) error {
	return errors.Join(load.DropRoles(ctx, e.Instance, temporary), e.Instance.DropConfined(ctx, temporary))
}

// clientEncoding is the line in which a dump says its encoding.
var clientEncoding = regexp.MustCompile(`(?m)^SET client_encoding = '([A-Za-z0-9_]+)';$`)

// likeness is the encoding and locale of the database that was dumped. Of a file without a manifest, or whose manifest
// does not say, only the encoding is known, from the dump itself.
func (e *Engine) likeness(ctx context.Context, m *Manifest, head []byte) (postgres.Database, error) {
	if m != nil && m.Collation != "" {
		return postgres.Database{Encoding: m.Encoding, Collate: m.Collation, CType: m.CType, LocaleProvider: m.LocaleProvider, Locale: m.Locale}, nil
	}
	match := clientEncoding.FindSubmatch(head)
	if match == nil {
		return postgres.Database{}, nil
	}
	template, err := e.Instance.Database(ctx, "template0")
	if err != nil || template.Encoding == string(match[1]) {
		return postgres.Database{}, err
	}
	// C is the one locale that goes with every encoding.
	return postgres.Database{Encoding: string(match[1]), Collate: "C", CType: "C", LocaleProvider: "libc"}, nil
}

// reader opens the dump in a verified file a second time, to be loaded.
func (v *verified) reader(file Object, progress *reporter) (*checkedReader, error) {
	plain, err := v.plain(fromStart(file))
	if err != nil {
		return nil, err
	}
	progress.of(len(v.tables))
	return &checkedReader{src: plain, hash: sha256.New(), want: v.plainSHA, read: progress.add, seen: tableTeller(v.format, progress)}, nil
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
