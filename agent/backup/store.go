package backup

import (
	"io"
	"iter"

	"github.com/pgharbor/pgharbor/agent/store"
)

// Store is where sealed backups live, and all that this package knows of it. An implementation passes the tests of
// agent/store/storetest; today's is a folder, agent/store/local.
//
// It is safe for concurrent use, by several processes too. What is not there is fs.ErrNotExist, what a store would not
// name so is store.ErrName, and where nothing can be told of what is stored it is store.ErrMoved. No call takes a context:
// a store that is reached over a network bounds its own waiting.
type Store interface {
	Backups
	Locks
	Holds
	Unmanaged
	Incoming
}

// Backups are what a store is for. A backup is there from the moment its manifest is, and until the manifest goes.
type Backups interface {
	// Manifests goes through all backups, in no order. An error names the one that could not be read and does not end the
	// walk; a backup that goes meanwhile is passed over, and so is what no store named.
	Manifests() iter.Seq2[store.Entry, error]
	// Open opens a part of a backup. store.ErrUnreadable means that the medium can't give it back.
	Open(at store.Location, part store.Part) (store.Object, error)
	// Create begins a backup that nobody sees before its Commit. The caller holds the database's lock. The name is as
	// store.IsBackup has it; the run's id is 1 to 64 characters of [a-z0-9-].
	Create(database, name, runID string) (store.Pending, error)
	// Remove removes a backup with all that is of it: it is gone in one step, that of its manifest, and a crash after that
	// leaves the rest to Sweep. What can't be removed stays a backup. What is gone already is no error; what is held is
	// store.ErrHeld.
	Remove(at store.Location) error
	// Usable says why nothing can be stored now, or nil.
	Usable() error
	// Space returns how much may still be stored.
	Space() (store.Space, error)
	// Describe names a backup for people and logs: by its path, its address.
	Describe(at store.Location) string
}

// Locks let one run at a time write to a database, and clear up after those that died.
type Locks interface {
	// Lock takes the database until unlock or the end of the process. It does not wait: store.ErrLocked. The empty name
	// stands for the files that are of no database. unlock may be called more than once.
	Lock(database string) (unlock func(), err error)
	// Sweep removes what dead runs left in databases whose lock is free, never a backup, and returns the names of what it
	// removed.
	Sweep() (removed []string, err error)
}

// Holds keep a backup from being removed, wherever the store is opened next.
type Holds interface {
	// Hold keeps a backup until Release, durably; content comes back as Entry.Hold. It replaces an earlier hold: whatever
	// fails, the one or the other stands. A hold that can't be read holds. The caller sees to it that no Remove of the same
	// backup is under way.
	Hold(at store.Location, content []byte) error
	// Release ends the hold, where there is one.
	Release(at store.Location) error
}

// Unmanaged are files that somebody else put into the store, such as the script of before. A store where nobody can do
// that lists none.
type Unmanaged interface {
	// Unmanaged lists the files without a manifest, as store.IsLoose has their names. Their Manifest is nil.
	Unmanaged() ([]store.Entry, error)
	// Import makes a backup of one by writing its manifest, which it never replaces: fs.ErrExist. The caller holds the lock
	// of the location's database.
	Import(at store.Location, manifest []byte) error
	// Private reports whether nobody but this user and root can have put a file where it stands.
	Private(at store.Location) bool
}

// Incoming are backups of other instances that were fetched for one restore and go with it. They are in no inventory, and
// need not survive a crash.
type Incoming interface {
	// CreateIncoming makes a part, for a restore's id of 1 to 64 characters of [a-z0-9-]. It replaces none: fs.ErrExist. The
	// caller closes it.
	CreateIncoming(id string, part store.Part) (io.WriteCloser, error)
	OpenIncoming(id string, part store.Part) (store.Object, error)
	// RemoveIncoming removes all parts. It is no error where there is none.
	RemoveIncoming(id string) error
}

// keptIn is the Source of a backup in a store.
type keptIn struct {
	store Backups
	at    store.Location
}

// Open implements Source.
func (k keptIn) Open() (Object, error) { return k.store.Open(k.at, store.Dump) }

// OpenGlobals implements Source.
func (k keptIn) OpenGlobals() (Object, error) { return k.store.Open(k.at, store.Globals) }

// fetchedInto is the Source of a backup that was fetched for a restore.
type fetchedInto struct {
	store     Incoming
	restoreID string
}

// Fetched is where the backup that was fetched for a restore is read from.
func Fetched(from Incoming, restoreID string) Source { return fetchedInto{from, restoreID} }

// Open implements Source.
func (f fetchedInto) Open() (Object, error) { return f.store.OpenIncoming(f.restoreID, store.Dump) }

// OpenGlobals implements Source.
func (f fetchedInto) OpenGlobals() (Object, error) {
	return f.store.OpenIncoming(f.restoreID, store.Globals)
}
