package local

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/pgharbor/pgharbor/agent/store"
)

// removing is the run id of a manifest that was put aside because its backup is being removed.
const removing = "removing"

// Remove removes a backup. It stops being one at a single step, when its manifest is put aside; after a crash in between,
// Sweep or a second Remove takes the rest. Where the file can't be removed, the manifest comes back. What is gone already
// is no error; one that is held is store.ErrHeld.
func (s *Store) Remove(loc store.Location) error {
	d, err := s.locate(loc)
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, store.ErrMoved) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.close()
	if held, err := d.exists(loc.File + holdSuffix); err != nil {
		return err
	} else if held {
		return wrapPath("remove", s.Path(loc), store.ErrHeld)
	}
	manifest := store.ManifestName(loc.File)
	aside := partialName(manifest, removing)
	if err := d.rename(manifest, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.settleNames(); err != nil {
		return errors.Join(err, d.restore(aside, manifest))
	}
	if err := d.removeBackup(loc.File); err != nil {
		if stands, statErr := d.exists(loc.File); statErr == nil && !stands {
			return err // the companion alone is left, which the next sweep takes away
		}
		return errors.Join(err, d.restore(aside, manifest))
	}
	return errors.Join(d.remove(aside), d.settleNames())
}

// restore brings a manifest back that was put aside.
func (d *folder) restore(aside, manifest string) error {
	err := d.rename(aside, manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, d.settleNames())
}

// Sweep removes what broken runs left in databases whose lock is free: partial files; a file that got its name but no
// manifest, known by being the same file as its partial; and a file whose removal was begun. It returns the names of what
// it removed, relative to the folder. An error of one database does not keep it from the others.
func (s *Store) Sweep() (removed []string, err error) {
	databases, err := s.databases()
	if err != nil {
		return nil, err
	}
	var all error
	for _, database := range databases {
		names, err := s.sweepDatabase(database)
		removed = append(removed, names...)
		all = errors.Join(all, err)
	}
	return removed, all
}

func (s *Store) sweepDatabase(database string) (removed []string, err error) {
	unlock, err := s.Lock(database)
	if errors.Is(err, store.ErrLocked) {
		return nil, nil // its run is alive
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	d, err := s.folder(database)
	if err != nil {
		return nil, err
	}
	defer d.close()
	items, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	prefix, _ := encode(database)
	for _, item := range items {
		parts := partials.FindStringSubmatch(item.Name())
		if parts == nil || !item.Type().IsRegular() {
			continue
		}
		base, ofManifest, runID := parts[1], parts[2] != "", parts[3]
		names := d.namesOf(item.Name(), items)
		if ofManifest {
			names = nil
			if runID == removing {
				names = []string{base}
			}
		}
		gone, err := d.sweep(item.Name(), names)
		for _, name := range gone {
			removed = append(removed, path.Join(prefix, name))
		}
		if err != nil {
			return removed, err
		}
	}
	return removed, d.settleNames()
}

// namesOf returns the backups' names that are links to the same file as partial.
func (d *folder) namesOf(partial string, items []fs.DirEntry) (names []string) {
	info, err := d.root.Lstat(partial)
	if err != nil {
		return nil
	}
	for _, item := range items {
		other, err := d.root.Lstat(item.Name())
		if err == nil && store.IsBackup(item.Name()) && os.SameFile(info, other) {
			names = append(names, item.Name())
		}
	}
	return names
}

// sweep removes those of the named files that have no manifest, and the partial last, because it is what shows that they
// may be removed.
func (d *folder) sweep(partial string, names []string) (removed []string, err error) {
	for _, name := range names {
		kept, err := d.exists(store.ManifestName(name))
		if err != nil {
			return removed, err
		}
		if kept {
			continue
		}
		if err := d.removeBackup(name); err != nil {
			return removed, err
		}
		removed = append(removed, name)
	}
	if err := d.remove(partial); err != nil {
		return removed, err
	}
	return append(removed, partial), nil
}
