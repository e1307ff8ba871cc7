package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pgharbor/pgharbor/internal/disk"
)

// Folder is the folder in which the agent remembers what must outlive it. Each
// kind of record has a store of its own.
type Folder struct {
	Journal   *Journal   // news for the control plane
	Records   *Records   // work under way
	Checks    *Checks    // what checks of backups have found
	Displaced *Displaced // databases that restores have replaced
	History   *History   // what has ended, for people on this host
	Witness   *Witness   // checkpoints of the control plane's audit log

	dir string
}

// ErrRunning reports that another agent runs on the same state folder.
var ErrRunning = errors.New("another pgharbor-agent runs on this state folder")

// Open opens the state folder, making it (0700) if it does not exist. One that others may write to
// is refused: they could put their own in its place.
func Open(dir string) (*Folder, error) {
	s := &Folder{
		Records:   &Records{dir: filepath.Join(dir, "runs")},
		Displaced: &Displaced{filepath.Join(dir, "kept")},
		Witness:   &Witness{dir},
		dir:       dir,
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := ownFolders(dir, s.Records.dir); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	journal, err := openJournal(filepath.Join(dir, "journal"))
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	s.Journal, s.Records.journal = journal, journal
	if s.Checks, err = openChecks(filepath.Join(dir, "checks")); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if s.History, err = openHistory(filepath.Join(dir, "history")); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return s, nil
}

// Dir returns the folder as it was given to Open.
func (f *Folder) Dir() string { return f.dir }

// Lock makes this process the one agent that runs on the folder, until release or the end of the
// process. ErrRunning reports that there is one.
func (f *Folder) Lock() (release func() error, err error) {
	lock, err := openLocked(filepath.Join(f.dir, "lock"), disk.TryLock)
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", ErrRunning, f.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return lock.Close, nil
}
