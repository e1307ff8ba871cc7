package backup

import (
	"io"
	"math"

	"github.com/pgharbor/pgharbor/agent/store"
)

// Object is a stored file that can be read at any place, wherever it lives. Who opened it closes it.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64 // in bytes, when it was opened
}

// Source opens what is stored of a backup. fs.ErrNotExist says that it is gone.
type Source interface {
	Open() (Object, error)
	OpenGlobals() (Object, error) // the companion
}

// File is the Source of a file on this host, whose companion stands beside it.
type File string

// Open implements Source.
func (f File) Open() (Object, error) { return object(store.OpenFile(string(f))) }

// OpenGlobals implements Source.
func (f File) OpenGlobals() (Object, error) {
	return object(store.OpenFile(store.GlobalsName(string(f))))
}

// keptIn is the Source of a backup in a store.
type keptIn struct {
	store *store.Store
	at    store.Location
}

// SourceOf is where a stored backup is read from.
func (e *Engine) SourceOf(stored Stored) Source { return keptIn{e.Store, stored.Location} }

// Open implements Source.
func (k keptIn) Open() (Object, error) { return object(k.store.Open(k.at)) }

// OpenGlobals implements Source.
func (k keptIn) OpenGlobals() (Object, error) { return object(k.store.OpenGlobals(k.at)) }

// object keeps a nil pointer from becoming an interface that is not nil.
func object(opened *store.Object, err error) (Object, error) {
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// fromStart reads an object from its first byte to its end, wherever that is by then.
func fromStart(o Object) *io.SectionReader { return io.NewSectionReader(o, 0, math.MaxInt64) }
