package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/store"
)

const (
	// writeback is how much is written before the disk is told to begin with it, so that the fsync at the end finds
	// little to do.
	writeback = 8 << 20
	// maxBumps bounds the search for a name that is free: an hour of seconds.
	maxBumps = 3600
)

var errDone = errors.New("the backup file was already committed or discarded")

// pending implements store.Pending.
type pending struct {
	store    *Store
	folder   *folder
	database string
	name     string // without bumps
	runID    string
	file     *os.File
	globals  []byte // the content of the companion; nil where there is none
	size     int64
	started  int64 // up to where writeback was asked for
	err      error
}

// Create begins a backup of database under a hidden name that no reader takes for one. The caller holds the database's
// lock. store.ErrName where store.CheckNew refuses a name.
func (s *Store) Create(database, baseName, runID string) (store.Pending, error) {
	if err := store.CheckNew(database, baseName, runID); err != nil {
		return nil, err
	}
	d, err := s.makeFolder(database)
	if err != nil {
		return nil, err
	}
	file, err := d.create(partialName(baseName, runID))
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return &pending{store: s, folder: d, database: database, name: baseName, runID: runID, file: file}, nil
}

// Write implements store.Pending.
func (f *pending) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.folder.write(f.file, p)
	f.size += int64(n)
	f.err = err
	if f.size-f.started >= writeback {
		// Only a hint: an error of the disk is for fsync to tell.
		_ = unix.SyncFileRange(int(f.file.Fd()), f.started, f.size-f.started, unix.SYNC_FILE_RANGE_WRITE)
		f.started = f.size
	}
	return n, err
}

// Commit makes the backup durable and visible: fsync of the file, its name (where that is taken, the next second that
// is free), fsync of the folder, the companion likewise, the manifest, fsync of the folder. The manifest is asked for once
// the name stands.
// After an error nothing of the backup is left, as far as the disk still obeys; Sweep clears the rest.
func (f *pending) Commit(manifest func(store.Location) ([]byte, error)) (store.Location, error) {
	if f.err != nil {
		return store.Location{}, errors.Join(f.err, f.Abort())
	}
	if err := f.store.unmoved(); err != nil {
		return store.Location{}, errors.Join(err, f.Abort())
	}
	if err := f.folder.settle(f.file); err != nil {
		return store.Location{}, errors.Join(err, f.Abort())
	}
	name, err := f.place()
	if err != nil {
		return store.Location{}, errors.Join(err, f.Abort())
	}
	loc := store.Location{Database: f.database, File: name}
	if err := f.describe(loc, manifest); err != nil {
		return store.Location{}, errors.Join(err, f.withdraw(name), f.Abort())
	}
	// The backup stands. A partial name that stays is only a second link to it, which the next sweep takes away.
	_ = f.discard()
	return loc, nil
}

// place gives the file the first name that is free, from its own second on.
func (f *pending) place() (name string, err error) {
	name = f.name
	for range maxBumps {
		taken, err := f.folder.exists(store.ManifestName(name))
		if err == nil && !taken {
			err = f.folder.place(partialName(f.name, f.runID), name)
			taken = errors.Is(err, fs.ErrExist)
		}
		if !taken {
			return name, err
		}
		if name, err = store.NextSecond(name); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s and the names of the hour after it: %w", f.name, fs.ErrExist)
}

func (f *pending) describe(loc store.Location, manifest func(store.Location) ([]byte, error)) error {
	if err := f.folder.settleNames(); err != nil {
		return err
	}
	if f.globals != nil {
		if err := f.folder.writeNew(store.GlobalsName(loc.File), f.runID, f.globals); err != nil {
			return err
		}
	}
	data, err := manifest(loc)
	if err != nil {
		return err
	}
	return f.folder.writeNew(store.ManifestName(loc.File), f.runID, data)
}

// withdraw takes the name back, unless a manifest stands that no longer goes: a manifest without its file would be damage.
func (f *pending) withdraw(name string) error {
	stands, err := f.folder.exists(store.ManifestName(name))
	if err != nil || stands {
		return err
	}
	return f.folder.removeBackup(name)
}

// AddGlobals implements store.Pending.
func (f *pending) AddGlobals(content []byte) { f.globals = content }

// Abort implements store.Pending.
func (f *pending) Abort() error {
	if errors.Is(f.err, errDone) {
		return nil
	}
	return f.discard()
}

func (f *pending) discard() error {
	f.err = errDone
	err := f.file.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	return errors.Join(err, f.folder.remove(partialName(f.name, f.runID)), f.folder.close())
}
