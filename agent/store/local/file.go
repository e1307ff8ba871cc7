package local

import (
	"os"
	"path/filepath"
	"syscall"

	"github.com/pgharbor/pgharbor/agent/store"
)

// File is a backup that a person names by its path; its companion and its manifest stand beside it. It is a
// backup.Source.
type File string

// Open opens the file; fs.ErrNotExist where there is none.
func (f File) Open() (store.Object, error) { return openFile(string(f)) }

// OpenGlobals opens the companion; fs.ErrNotExist where there is none.
func (f File) OpenGlobals() (store.Object, error) { return openFile(store.Globals.Of(string(f))) }

// Manifest reads the manifest; fs.ErrNotExist where there is none.
func (f File) Manifest() ([]byte, error) { return os.ReadFile(store.Manifest.Of(string(f))) }

// Private reports whether the file and its folder are this user's or root's and nobody else may write to them.
func (f File) Private() bool {
	return ownAlone(string(f)) && ownAlone(filepath.Dir(string(f)))
}

// Private is that of File for a stored one.
func (s *Store) Private(loc store.Location) bool { return File(s.Path(loc)).Private() }

func openFile(path string) (store.Object, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return newObject(file)
}

func ownAlone(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid) //nolint:forcetypeassert // it is Linux's
	return owner == 0 || owner == os.Geteuid()
}
