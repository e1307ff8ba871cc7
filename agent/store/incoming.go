package store

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
)

// incomingName is the folder of backups of other instances, which are here to be restored and for no longer.
const incomingName = ".incoming"

// Incoming is a place for one file of another instance, and for its companion. It is no part of the inventory.
type Incoming struct {
	Path string // of the file; the companion's is GlobalsName of it
	root *os.Root
}

// Receive makes a place of this id, 1 to 64 characters of [a-z0-9-]; what a broken restore of the same id left there is
// gone. The caller closes it, and RemoveIncoming takes it away.
func (s *Store) Receive(id string) (*Incoming, error) {
	if err := s.RemoveIncoming(id); err != nil {
		return nil, err
	}
	name := path.Join(incomingName, id)
	if err := s.top.root.MkdirAll(name, 0o700); err != nil {
		return nil, err
	}
	root, err := s.top.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &Incoming{Path: filepath.Join(s.path, incomingName, id, incomingFile), root: root}, nil
}

const incomingFile = "backup"

// Create makes the file, which the caller closes.
func (i *Incoming) Create() (*os.File, error) { return i.create(incomingFile) }

// CreateGlobals makes its companion, which the caller closes.
func (i *Incoming) CreateGlobals() (*os.File, error) { return i.create(GlobalsName(incomingFile)) }

func (i *Incoming) create(name string) (*os.File, error) {
	return i.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// Close releases the place; what is in it stays.
func (i *Incoming) Close() error { return i.root.Close() }

// RemoveIncoming removes the place of an id with all that is in it. It is no error where there is none.
func (s *Store) RemoveIncoming(id string) error {
	if !runIDs.MatchString(id) {
		return fmt.Errorf("%w: %q is no id", ErrName, id)
	}
	if err := s.unmoved(); err != nil {
		return err
	}
	return s.top.root.RemoveAll(path.Join(incomingName, id))
}
