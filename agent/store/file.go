package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// writeback is how much is written before the disk is told to begin with it, so that the fsync at the end finds
	// little to do.
	writeback = 8 << 20
	// maxBumps bounds the search for a name that is free: an hour of seconds.
	maxBumps = 3600
)

var errDone = errors.New("the backup file was already committed or discarded")

// File is a backup being written, by one goroutine. It ends by Commit or Abort.
type File struct {
	store    *Store
	folder   *folder
	database string
	name     string // without bumps
	runID    string
	file     *os.File
	globals  []byte // the content of the companion; nil where there is none
	size     int64
	started  int64    // up to where writeback was asked for
	sparing  *Sparing // nil: it may have all that is free
	err      error
}

// Create begins a backup of database under a hidden name that no reader takes for one. The caller holds the database's
// lock. baseName is backup-YYYY-MM-DD-HH-mm-ss.TYPE[.zst][.enc], where TYPE is up to 16 letters such as sql; runID is 1 to 64 characters of [a-z0-9-].
func (s *Store) Create(database, baseName, runID string) (*File, error) {
	if database == "" || !baseNames.MatchString(baseName) || !runIDs.MatchString(runID) {
		return nil, fmt.Errorf("%w: %q of database %q, run %q", ErrName, baseName, database, runID)
	}
	d, err := s.makeFolder(database)
	if err != nil {
		return nil, err
	}
	file, err := d.create(partialName(baseName, runID))
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return &File{store: s, folder: d, database: database, name: baseName, runID: runID, file: file}, nil
}

// KeepReserve lets the file be written only as far as it leaves the reserve of the disk free.
func (f *File) KeepReserve() error {
	f.sparing = f.store.Spare(0)
	return f.store.Room(0, 0)
}

// Write appends p; large writes are best. After an error only Abort is left.
func (f *File) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.sparing != nil {
		if f.err = f.sparing.Take(len(p)); f.err != nil {
			return 0, f.err
		}
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
func (f *File) Commit(manifest func(Location) ([]byte, error)) (Location, error) {
	if f.err != nil {
		return Location{}, errors.Join(f.err, f.Abort())
	}
	if err := f.store.unmoved(); err != nil {
		return Location{}, errors.Join(err, f.Abort())
	}
	if err := f.folder.settle(f.file); err != nil {
		return Location{}, errors.Join(err, f.Abort())
	}
	name, err := f.place()
	if err != nil {
		return Location{}, errors.Join(err, f.Abort())
	}
	loc := Location{f.database, name}
	if err := f.describe(loc, manifest); err != nil {
		return Location{}, errors.Join(err, f.withdraw(name), f.Abort())
	}
	// The backup stands. A partial name that stays is only a second link to it, which the next sweep takes away.
	_ = f.discard()
	return loc, nil
}

// place gives the file the first name that is free, from its own second on.
func (f *File) place() (name string, err error) {
	name = f.name
	for range maxBumps {
		taken, err := f.folder.exists(name + manifestSuffix)
		if err == nil && !taken {
			err = f.folder.place(partialName(f.name, f.runID), name)
			taken = errors.Is(err, fs.ErrExist)
		}
		if !taken {
			return name, err
		}
		if name, err = nextSecond(name); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s and the names of the hour after it: %w", f.name, fs.ErrExist)
}

func (f *File) describe(loc Location, manifest func(Location) ([]byte, error)) error {
	if err := f.folder.settleNames(); err != nil {
		return err
	}
	if f.globals != nil {
		if err := f.folder.writeNew(GlobalsName(loc.File), f.runID, f.globals); err != nil {
			return err
		}
	}
	data, err := manifest(loc)
	if err != nil {
		return err
	}
	return f.folder.writeNew(loc.File+manifestSuffix, f.runID, data)
}

// withdraw takes the name back, unless a manifest stands that no longer goes: a manifest without its file would be damage.
func (f *File) withdraw(name string) error {
	stands, err := f.folder.exists(name + manifestSuffix)
	if err != nil || stands {
		return err
	}
	return f.folder.removeBackup(name)
}

// Abort removes what was written. After Commit or Abort it does nothing.
func (f *File) Abort() error {
	if errors.Is(f.err, errDone) {
		return nil
	}
	return f.discard()
}

func (f *File) discard() error {
	f.err = errDone
	err := f.file.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	return errors.Join(err, f.folder.remove(partialName(f.name, f.runID)), f.folder.close())
}
