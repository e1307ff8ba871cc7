package local

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/pgharbor/pgharbor/agent/store"
)

// Manifests goes through all backups: of each the entry, or an error that names the file which could not be read. Such an
// error does not end the walk. Files that are none of ours are passed over.
func (s *Store) Manifests() iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		databases, err := s.databases()
		if err != nil {
			yield(store.Entry{}, err)
			return
		}
		for _, database := range databases {
			if !s.manifestsOf(database, yield) {
				return
			}
		}
	}
}

// databases returns the databases that have a folder, and the empty name for the store's own folder first.
func (s *Store) databases() ([]string, error) {
	if err := s.unmoved(); err != nil {
		return nil, err
	}
	items, err := fs.ReadDir(s.top.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	databases := []string{""}
	for _, item := range items {
		if database, ok := decode(item.Name()); ok && item.IsDir() {
			databases = append(databases, database)
		}
	}
	return databases, nil
}

// manifestsOf yields the entries of one folder, and says whether the walk goes on.
func (s *Store) manifestsOf(database string, yield func(store.Entry, error) bool) bool {
	d, err := s.folder(database)
	if err != nil {
		return yield(store.Entry{Location: store.Location{Database: database}}, err)
	}
	defer d.close()
	items, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return yield(store.Entry{Location: store.Location{Database: database}}, fmt.Errorf("folder of %q: %w", database, err))
	}
	for _, item := range items {
		name, ok := strings.CutSuffix(item.Name(), store.ManifestName(""))
		loc := store.Location{Database: database, File: name}
		if !ok || loc.Check() != nil {
			continue
		}
		entry, err := d.entry(loc)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed while we walked
		}
		if !yield(entry, err) {
			return false
		}
	}
	return true
}

func (d *folder) entry(loc store.Location) (store.Entry, error) {
	entry := store.Entry{Location: loc, Size: -1}
	data, err := d.read(store.ManifestName(loc.File), store.MaxManifest)
	if err != nil {
		return entry, fmt.Errorf("manifest of %q: %w", loc.Database, err)
	}
	entry.Manifest = data
	entry.Hold = d.readHold(loc.File)
	info, err := d.root.Lstat(loc.File)
	if err == nil && info.Mode().IsRegular() {
		entry.Size, entry.ModTime = info.Size(), info.ModTime().UTC()
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return entry, fmt.Errorf("file of %q: %w", loc.Database, err)
	}
	entry.GlobalsSize = d.sizeOf(store.GlobalsName(loc.File))
	return entry, nil
}

// Unmanaged lists the backup-*.sql[.enc] that stand directly in the folder without a manifest, as the old script left them.
// Their Manifest is nil.
func (s *Store) Unmanaged() ([]store.Entry, error) {
	if err := s.unmoved(); err != nil {
		return nil, err
	}
	items, err := fs.ReadDir(s.top.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var loose []store.Entry
	for _, item := range items {
		loc := store.Location{File: item.Name()}
		if !store.IsLoose(loc.File) || loc.Check() != nil || !item.Type().IsRegular() {
			continue
		}
		adopted, err := s.top.exists(store.ManifestName(loc.File))
		if err != nil {
			return nil, err
		}
		info, err := item.Info()
		if adopted || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		loose = append(loose, store.Entry{Location: loc, Size: info.Size(), ModTime: info.ModTime().UTC()})
	}
	return loose, nil
}

// Import writes the manifest of a file that stands without one. The caller holds the lock of the location's database. It
// never replaces a manifest: fs.ErrExist.
func (s *Store) Import(loc store.Location, manifest []byte) error {
	d, err := s.locate(loc)
	if err != nil {
		return err
	}
	defer d.close()
	if _, err := d.root.Lstat(loc.File); err != nil {
		return err
	}
	return d.writeNew(store.ManifestName(loc.File), "adopt", manifest)
}

// locate opens the folder of a location whose name may be looked up. The caller closes it.
func (s *Store) locate(loc store.Location) (*folder, error) {
	if err := loc.Check(); err != nil {
		return nil, err
	}
	return s.folder(loc.Database)
}
