package store

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
)

// maxManifest bounds what is read of a manifest: room for some 200,000 tables.
const maxManifest = 32 << 20

// Manifests goes through all backups: of each the entry, or an error that names the file which could not be read. Such an
// error does not end the walk. Files that are none of ours are passed over.
func (s *Store) Manifests() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		databases, err := s.databases()
		if err != nil {
			yield(Entry{}, err)
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
func (s *Store) manifestsOf(database string, yield func(Entry, error) bool) bool {
	d, err := s.folder(database)
	if err != nil {
		return yield(Entry{Location: Location{Database: database}}, err)
	}
	defer d.close()
	items, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return yield(Entry{Location: Location{Database: database}}, fmt.Errorf("folder of %q: %w", database, err))
	}
	for _, item := range items {
		name, ok := strings.CutSuffix(item.Name(), manifestSuffix)
		loc := Location{database, name}
		if !ok || !loc.valid() {
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

func (d *folder) entry(loc Location) (Entry, error) {
	entry := Entry{Location: loc, Size: -1}
	data, err := d.read(loc.File+manifestSuffix, maxManifest)
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
	entry.GlobalsSize = d.sizeOf(GlobalsName(loc.File))
	return entry, nil
}

// Loose lists the backup-*.sql[.enc] that stand directly in the folder without a manifest, as the old script left them.
// Their Manifest is nil.
func (s *Store) Loose() ([]Entry, error) {
	if err := s.unmoved(); err != nil {
		return nil, err
	}
	items, err := fs.ReadDir(s.top.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var loose []Entry
	for _, item := range items {
		loc := Location{File: item.Name()}
		if !looseNames.MatchString(loc.File) || !loc.valid() || !item.Type().IsRegular() {
			continue
		}
		adopted, err := s.top.exists(loc.File + manifestSuffix)
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
		loose = append(loose, Entry{Location: loc, Size: info.Size(), ModTime: info.ModTime().UTC()})
	}
	return loose, nil
}

// Adopt writes the manifest of a file that stands without one. The caller holds the lock of the location's database. It
// never replaces a manifest: fs.ErrExist.
func (s *Store) Adopt(loc Location, manifest []byte) error {
	d, err := s.locate(loc)
	if err != nil {
		return err
	}
	defer d.close()
	if _, err := d.root.Lstat(loc.File); err != nil {
		return err
	}
	return d.writeNew(loc.File+manifestSuffix, "adopt", manifest)
}

// Open opens a stored file for reading; fs.ErrNotExist where it is gone. Symbolic links are not followed.
func (s *Store) Open(loc Location) (*Object, error) {
	d, err := s.locate(loc)
	if err != nil {
		return nil, err
	}
	defer d.close()
	f, _, err := d.open(loc.File)
	if err != nil {
		return nil, err
	}
	return newObject(f)
}

// ReadManifest returns the manifest of a backup; fs.ErrNotExist where there is none.
func (s *Store) ReadManifest(loc Location) ([]byte, error) {
	d, err := s.locate(loc)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.read(loc.File+manifestSuffix, maxManifest)
}

// locate opens the folder of a location whose name may be looked up. The caller closes it.
func (s *Store) locate(loc Location) (*folder, error) {
	if !loc.valid() {
		return nil, fmt.Errorf("%w: %q of database %q", ErrName, loc.File, loc.Database)
	}
	return s.folder(loc.Database)
}
