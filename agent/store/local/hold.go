package local

import (
	"errors"
	"io/fs"

	"github.com/pgharbor/pgharbor/agent/store"
)

const (
	// holdSuffix is added to a file's name for the name of what holds it.
	holdSuffix = ".hold.json"
	// holding is the run id of a hold that is being written.
	holding = "holding"
	// maxHold bounds what is read of a hold.
	maxHold = 64 << 10
)

// Hold keeps a backup from Remove until Release, durably: content, which is for its reader to evaluate, is next to the
// file, so that the hold goes wherever the folder goes. It replaces an earlier hold. fs.ErrNotExist where there is no such
// backup. The caller sees to it that no Remove of the same backup is under way.
func (s *Store) Hold(loc store.Location, content []byte) error {
	d, err := s.locate(loc)
	if err != nil {
		return err
	}
	defer d.close()
	manifest := store.ManifestName(loc.File)
	if stands, err := d.exists(manifest); err != nil || !stands {
		return errors.Join(err, wrapPath("hold", s.Path(loc), fs.ErrNotExist))
	}
	partial := partialName(loc.File+holdSuffix, holding)
	if err := d.remove(partial); err != nil { // of a hold that was broken off
		return err
	}
	f, err := d.create(partial)
	if err != nil {
		return err
	}
	_, err = d.write(f, content)
	if err = errors.Join(err, d.settle(f)); err == nil {
		err = d.rename(partial, loc.File+holdSuffix)
	}
	if err != nil {
		return errors.Join(err, d.remove(partial))
	}
	return d.settleNames()
}

// Release ends the hold of a backup. It is no error where there is none.
func (s *Store) Release(loc store.Location) error {
	d, err := s.locate(loc)
	if err != nil {
		return err
	}
	defer d.close()
	return errors.Join(d.remove(loc.File+holdSuffix), d.settleNames())
}

// readHold returns what Hold wrote, nil where the backup is not held. One that can't be read holds all the same, and is
// empty: a bad sector must not let a backup go.
func (d *folder) readHold(file string) []byte {
	content, err := d.read(file+holdSuffix, maxHold)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || content == nil {
		return []byte{}
	}
	return content
}
