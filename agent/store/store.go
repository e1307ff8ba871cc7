// Package store has what stores of sealed backups and their users share: what a stored backup is called, what is seen of
// it, how one is written, and the errors. agent/backup declares what it needs of a store; the folder on a disk that holds
// backups is store/local.
package store

import (
	"errors"
	"io"
	"time"
)

var (
	// ErrLocked reports that another run, of this process or of another, works on the database.
	ErrLocked = errors.New("another run has this database locked")
	// ErrName reports that a name is none that a store would give a file.
	ErrName = errors.New("not a name of a backup")
	// ErrMoved reports that the store is not the one that was opened, as after a mount came or went, so that what it shows
	// says nothing of the backups. It may come with fs.ErrNotExist.
	ErrMoved = errors.New("the backup folder is not the one that was opened")
	// ErrHeld reports that a backup is held, and is not removed before it is released.
	ErrHeld = errors.New("the backup is held")
	// ErrUnreadable reports that a stored file is there and its medium can't give it back: damage.
	ErrUnreadable = errors.New("the medium can't give the file back")
)

// Location names a backup in a store.
type Location struct {
	Database string // the place of its subject, which is a database's name; empty for a file directly in the store's top
	File     string // the file's name, without folders
}

// Part is one of the files of a backup.
type Part int

// The files of a backup.
const (
	Dump     Part = iota // the sealed dump, which Location names
	Globals              // its companion: roles, tablespaces and the settings of the database, sealed likewise
	Manifest             // the JSON that makes the other two a backup; at most MaxManifest bytes
)

// MaxManifest bounds what is read of a manifest, in bytes: room for some 200,000 tables.
const MaxManifest = 32 << 20

// Entry is a backup as a store sees it; what the manifest says is for its reader to check.
type Entry struct {
	Location
	Manifest []byte    // as stored; the caller's to keep
	Size     int64     // bytes of the dump now; -1 where it is missing
	ModTime  time.Time // of the dump, UTC; zero where it is missing
	Hold     []byte    // what the hold says, the caller's to keep; nil where the backup is not held
	// GlobalsSize is that of the companion, in bytes; -1 where there is none.
	GlobalsSize int64
}

// Object is a stored file that can be read at any place, by several goroutines at once. Whoever opened it closes it.
//
// A store may add two methods, which are used where they are there: Forget(from, size int64) is advice that a part need
// not stay in the host's memory, and BeingWritten() (bool, error) tells whether a process still writes to the file, or
// that this can't be known.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64 // in bytes, when it was opened
}

// Pending is a backup that is being written, by one goroutine. It ends by Commit or Abort.
type Pending interface {
	// Write appends to the dump; large writes are best. After an error only Abort is left.
	io.Writer
	// AddGlobals gives the backup a companion with this content. It comes and goes with the backup.
	AddGlobals(content []byte)
	// Commit makes the backup durable and visible, in this order: the dump, its name, the companion, the manifest. The name
	// is the one asked for or, where that is taken, the next second that is free; nothing that is stored is ever replaced.
	// The manifest is asked for once the name stands. On return the backup survives a power cut. After an error, or a crash
	// at any moment, there is no backup or a whole one; what else is left, Sweep removes.
	Commit(manifest func(Location) ([]byte, error)) (Location, error)
	// Abort removes what was written. After Commit or Abort it does nothing.
	Abort() error
}
