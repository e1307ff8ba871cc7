package backup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/internal/words"
)

// States of a stored backup, as cheaply seen: StateDamaged means that the size of the file or of its globals file is not the
// manifest's.
const (
	StatePresent = words.BackupPresent
	StateMissing = words.BackupMissing
	StateDamaged = words.BackupDamaged
)

// Stored is a backup in the store.
type Stored struct {
	Manifest
	Location store.Location
	State    string
	Damage   string // what is wrong with the file, where State is StateDamaged
	Hold     *Hold  // nil where it is not held
}

// Inventory lists all backups, oldest first. An error names the manifests that could not be read; the list holds the
// others all the same.
func (r *Repository) Inventory() ([]Stored, error) {
	var (
		inventory []Stored
		unread    []error
		witness   = r.origins.witness()
	)
	for entry, err := range r.store.Manifests() {
		if err != nil {
			unread = append(unread, err)
			continue
		}
		stored, err := readEntry(entry)
		if err == nil {
			if err = witness(stored.Manifest, entry.Manifest); err != nil {
				stored.State, stored.Damage = StateDamaged, err.Error() // it stays in sight, and counts for nothing
			}
			inventory = append(inventory, stored)
		}
		if err != nil {
			unread = append(unread, fmt.Errorf("%s: %w", r.store.Describe(entry.Location), err))
		}
	}
	slices.SortFunc(inventory, func(a, b Stored) int {
		if order := a.CreatedAt.Compare(b.CreatedAt); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
	return inventory, errors.Join(unread...)
}

// readEntry reads a stored manifest, which must be about the file that it is next to.
func readEntry(entry store.Entry) (Stored, error) {
	manifest, err := ParseManifest(entry.Manifest)
	if err != nil {
		return Stored{}, err
	}
	of := manifest.Series().Subject
	if manifest.Filename != entry.File || (!entry.Unmanaged() && of.Place() != entry.Database) {
		return Stored{}, fmt.Errorf("%w: it is that of %q, %s", ErrForged, manifest.Filename, of)
	}
	stored := Stored{Manifest: manifest, Location: entry.Location, State: StatePresent, Hold: readHold(entry.Hold)}
	switch {
	case entry.Size < 0:
		stored.State = StateMissing
	case entry.Size != manifest.SizeBytes:
		stored.State, stored.Damage = StateDamaged, wrongSize(entry.Size, manifest.SizeBytes)
	case manifest.Globals != nil && entry.GlobalsSize != manifest.Globals.SizeBytes:
		stored.State, stored.Damage = StateDamaged, "of its roles, "+wrongSize(entry.GlobalsSize, manifest.Globals.SizeBytes)
	}
	return stored, nil
}

// Find returns a backup by its id; ErrNotFound where there is none.
func (r *Repository) Find(id string) (Stored, error) {
	inventory, err := r.Inventory()
	for _, stored := range inventory {
		if stored.ID == id {
			return stored, nil
		}
	}
	return Stored{}, errors.Join(fmt.Errorf("%w: %s", ErrNotFound, id), err)
}

// Remove removes a backup; ErrNotFound where there is none.
func (r *Repository) Remove(id string) error {
	stored, err := r.Find(id)
	if err != nil {
		return err
	}
	return r.store.Remove(stored.Location)
}
