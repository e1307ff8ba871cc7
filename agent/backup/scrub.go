package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pgharbor/pgharbor/agent/store"
)

// scrubPiece is how much of a file is read at once, and the most that is asked of a pace.
const scrubPiece = 256 << 10

// Pace is asked before n bytes are read, at most MaxPace, and returns once they may be.
type Pace func(ctx context.Context, n int) error

// MaxPace is the most bytes that a Pace is asked for at once.
const MaxPace = scrubPiece

// Scrub reads a stored file and its globals file again, as a whole and from the disk, and holds them against the manifest. It
// returns what is wrong, a sentence's worth, or "". An error says that nothing can be told: ErrNotFound that the file is
// gone, others that ctx has ended or that the folder can't be reached. pace may be nil.
func (r *Repository) Scrub(ctx context.Context, stored Stored, pace Pace) (damage string, err error) {
	damage, err = r.scrubPart(ctx, stored.Location, store.Dump, stored.SizeBytes, stored.SHA256, pace)
	if damage != "" || err != nil {
		return damage, err
	}
	return r.ScrubGlobals(ctx, stored, pace)
}

// ScrubGlobals is Scrub for the globals file alone, where there is one.
func (r *Repository) ScrubGlobals(ctx context.Context, stored Stored, pace Pace) (damage string, err error) {
	if stored.Globals == nil {
		return "", nil
	}
	damage, err = r.scrubPart(ctx, stored.Location, store.Globals, stored.Globals.SizeBytes, stored.Globals.SHA256, pace)
	if errors.Is(err, ErrNotFound) {
		return "the file with its roles is gone", nil
	}
	if damage != "" {
		damage = "of the file with its roles: " + damage
	}
	return damage, err
}

func (r *Repository) scrubPart(ctx context.Context, at store.Location, part store.Part, size int64, sha string, pace Pace) (damage string, err error) {
	opened, err := r.store.Open(at, part)
	switch {
	case errors.Is(err, store.ErrMoved):
		return "", err
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: the file %s is gone", ErrNotFound, at.File)
	case errors.Is(err, store.ErrUnreadable):
		return unreadable(err), nil
	case err != nil:
		return "", err
	}
	defer opened.Close()
	return scrub(ctx, opened, size, sha, pace)
}

func scrub(ctx context.Context, file Object, wantSize int64, wantSHA string, pace Pace) (damage string, err error) {
	// What the kernel has in memory says nothing of the disk, and what is read here must not push the database's pages
	// out. Both are advice: a file system may not take it.
	forget := func(from, size int64) {}
	if local, ok := file.(interface{ Forget(from, size int64) }); ok {
		forget = local.Forget
	}
	forget(0, 0)
	stored := fromStart(file)
	sum, size, piece := sha256.New(), int64(0), make([]byte, scrubPiece)
	for {
		if err := ctx.Err(); err != nil {
			return "", context.Cause(ctx)
		}
		if pace != nil {
			if err := pace(ctx, len(piece)); err != nil {
				return "", err
			}
		}
		n, err := stored.Read(piece)
		sum.Write(piece[:n])
		forget(size, int64(n))
		size += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return unreadable(err), nil
		}
	}
	switch {
	case size != wantSize:
		return wrongSize(size, wantSize), nil
	case hex.EncodeToString(sum.Sum(nil)) != wantSHA:
		return "its hash is not the one that it was stored with", nil
	}
	return "", nil
}

func unreadable(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Sprintf("it can't be read: %v", err)
}

func wrongSize(size, want int64) string {
	return fmt.Sprintf("it has %d bytes, and its manifest says %d", max(size, 0), want)
}
