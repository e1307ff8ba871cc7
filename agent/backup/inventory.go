package backup

import (
	"context"
	"errors"
	"io"

	"github.com/pgharbor/pgharbor/agent/store"
)

// States of a stored backup, as cheaply seen: StateDamaged means that the file's size is not the manifest's.
const (
	StatePresent = "present"
	StateMissing = "missing"
	StateDamaged = "damaged"
)

// Stored is a backup in the store.
type Stored struct {
	Manifest
	Location store.Location
	State    string
}

// Inventory lists all backups, oldest first. An error names the manifests that could not be read; the list holds the
// others all the same.
func (e *Engine) Inventory() ([]Stored, error) { return nil, errors.ErrUnsupported }

// Find returns a backup by its id; ErrNotFound where there is none.
func (e *Engine) Find(id string) (Stored, error) { return Stored{}, errors.ErrUnsupported }

// OpenStored opens a backup's file as it is stored, sealed. The caller closes it. ErrNotFound where it is gone.
func (e *Engine) OpenStored(id string) (io.ReadSeekCloser, Stored, error) {
	return nil, Stored{}, errors.ErrUnsupported
}

// Remove removes a backup; ErrNotFound where there is none.
func (e *Engine) Remove(id string) error { return errors.ErrUnsupported }

// Adopt writes manifests for the files that the runbook's script left directly in the store's folder. They stay where
// they are; their time is that of their name, in the engine's zone, and their database is defaultDatabase. An error
// names the files that could not be read; the list holds those that were adopted.
func (e *Engine) Adopt(ctx context.Context, defaultDatabase string) ([]Manifest, error) {
	return nil, errors.ErrUnsupported
}
