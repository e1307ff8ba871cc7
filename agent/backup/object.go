package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/pgharbor/pgharbor/agent/store"
)

// Object is a stored file that can be read at any place, wherever it lives. Whoever opened it closes it.
type Object = store.Object

// Source opens what is stored of a backup: one in a store, one that was fetched, or a file that a person named.
// fs.ErrNotExist means that it is gone.
type Source interface {
	Open() (Object, error)
	OpenGlobals() (Object, error) // the globals file
}

// openFrom opens what is stored of a backup; ErrNotFound where it is gone.
func openFrom(from Source) (Object, error) {
	file, err := from.Open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return file, err
}

// From reads an object from a place, in bytes, to its end, wherever that is by then.
func From(o Object, offset int64) *io.SectionReader {
	return io.NewSectionReader(o, offset, math.MaxInt64-offset)
}

func fromStart(o Object) *io.SectionReader { return From(o, 0) }
