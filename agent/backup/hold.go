package backup

import (
	"encoding/json"
	"time"
)

// Hold is why a backup stays whatever its age, and by whose word.
type Hold struct {
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"` // "user:NAME", or "host:NAME" of a user of the host
	HeldAt time.Time `json:"held_at,omitzero"`
	// OnHost: it was set on the agent's host, and not by the control plane, which may not end it.
	OnHost bool `json:"on_host,omitempty"`
}

// Hold keeps a backup from being removed until Release; an earlier hold is replaced. The hold stands beside the file, so
// that it outlives the agent and its state. ErrNotFound where there is no such backup.
func (r *Repository) Hold(id string, hold Hold) error {
	stored, err := r.Find(id)
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(hold, "", "  ")
	if err != nil {
		return err
	}
	return r.store.Hold(stored.Location, append(content, '\n'))
}

// Release ends the hold of a backup, where it has one. ErrNotFound where there is no such backup.
func (r *Repository) Release(id string) error {
	stored, err := r.Find(id)
	if err != nil {
		return err
	}
	return r.store.Release(stored.Location)
}

// readHold reads what stands beside a file. A hold that can't be read is one all the same.
func readHold(content []byte) *Hold {
	if content == nil {
		return nil
	}
	var hold Hold
	if err := json.Unmarshal(content, &hold); err != nil {
		return &Hold{Reason: "the file that holds it can't be read", OnHost: true}
	}
	return &hold
}
