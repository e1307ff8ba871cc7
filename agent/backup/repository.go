package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// Repository is the stored backups of a host: it lists and finds them, reads and scrubs their files, holds and removes them.
type Repository struct {
	store   Store
	origins *Origins
	signer  *signing.Signer // nil: manifests are not signed
}

// SourceOf is where a stored backup is read from.
func (r *Repository) SourceOf(stored Stored) Source { return keptIn{r.store, stored.Location} }

// OriginOf finds out who made a stored backup.
func (r *Repository) OriginOf(stored Stored) (Origin, error) {
	content, err := r.ReadManifest(stored.Location)
	if err != nil {
		return Origin{}, err
	}
	origin, err := r.origins.Of(content, stored.Manifest, nil)
	if err == nil {
		origin = origin.Within(r.store.Private(stored.Location))
	}
	return origin, err
}

// ReadManifest returns a manifest as it is stored; fs.ErrNotExist where there is none.
func (r *Repository) ReadManifest(at store.Location) (_ []byte, err error) {
	file, err := r.store.Open(at, store.Manifest)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if file.Size() > store.MaxManifest {
		return nil, fmt.Errorf("the manifest of %s has %d bytes, more than the %d that it may have", r.store.Describe(at), file.Size(), store.MaxManifest)
	}
	return io.ReadAll(io.LimitReader(fromStart(file), store.MaxManifest))
}

// OpenStored opens a backup's file as it is stored, sealed. The caller closes it. ErrNotFound where it is gone.
func (r *Repository) OpenStored(id string) (Object, Stored, error) {
	stored, err := r.Find(id)
	if err != nil {
		return nil, Stored{}, err
	}
	file, err := r.store.Open(stored.Location, store.Dump)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Stored{}, fmt.Errorf("%w: the file of %s is gone", ErrNotFound, id)
	}
	return file, stored, err
}

// BeginSigning makes the agent's key at first need. The manifests that stand in the store by then have no signature, and
// are known by their hash from now on.
func (r *Repository) BeginSigning() error {
	if r.signer == nil {
		return nil
	}
	return r.signer.Begin(func() (hashes []string, err error) {
		for entry, err := range r.store.Manifests() {
			if entry.Manifest != nil {
				hashes = append(hashes, signing.Hash(entry.Manifest))
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		return hashes, nil
	})
}

// lastSize is the plain size of the newest backup of a series, as an estimate of the next; 0 where there is none.
func (r *Repository) lastSize(series subject.Series) (size int64) {
	inventory, _ := r.Inventory() // an estimate may do without what can't be read
	for _, stored := range inventory {
		if stored.Series() == series && stored.PlainSizeBytes > 0 {
			size = stored.PlainSizeBytes
		}
	}
	return size
}
