package local

import (
	"errors"
	"io"
	"os"
	"path"

	"github.com/pgharbor/pgharbor/agent/store"
)

const (
	// incomingName is the folder of backups of other instances, which are here to be restored and for no longer.
	incomingName = ".incoming"
	incomingFile = "backup"
)

// CreateIncoming makes a part of the backup that was fetched for a restore of this id, 1 to 64 characters of [a-z0-9-]. The
// caller closes it. It is no part of the inventory.
func (s *Store) CreateIncoming(id string, part store.Part) (io.WriteCloser, error) {
	d, err := s.incoming(id, true)
	if err != nil {
		return nil, err
	}
	f, err := d.create(part.Of(incomingFile))
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return received{d, f}, nil
}

// received is a part that is being written. It need not be durable.
type received struct {
	folder *folder
	file   *os.File
}

// Write implements io.Writer.
func (r received) Write(p []byte) (int, error) { return r.folder.write(r.file, p) }

// Close implements io.Closer.
func (r received) Close() error { return errors.Join(r.file.Close(), r.folder.close()) }

// OpenIncoming opens what CreateIncoming made; fs.ErrNotExist where it is gone.
func (s *Store) OpenIncoming(id string, part store.Part) (store.Object, error) {
	d, err := s.incoming(id, false)
	if err != nil {
		return nil, err
	}
	defer d.close()
	f, _, err := d.open(part.Of(incomingFile))
	if err != nil {
		return nil, err
	}
	return newObject(f)
}

// RemoveIncoming removes all that was fetched for a restore. It is no error where there is nothing.
func (s *Store) RemoveIncoming(id string) error {
	if err := store.CheckID(id); err != nil {
		return err
	}
	if err := s.unmoved(); err != nil {
		return err
	}
	return s.top.removeAll(path.Join(incomingName, id))
}

// incoming opens the folder of what is fetched for a restore, which is made where that is asked for. The caller closes it.
func (s *Store) incoming(id string, makes bool) (*folder, error) {
	if err := store.CheckID(id); err != nil {
		return nil, err
	}
	if err := s.unmoved(); err != nil {
		return nil, err
	}
	name := path.Join(incomingName, id)
	if makes {
		if err := s.top.makeAll(name); err != nil {
			return nil, err
		}
	}
	root, err := s.top.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return newFolder(root, s.top.fault)
}
