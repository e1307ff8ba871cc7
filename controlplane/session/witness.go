package session

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// The catalog is a second witness to what an agent's folder holds: anyone who swaps its files for
// others, or its folder for an older one, would have to reach the control plane too.

// actionSigningKey is the audit log's word for a key that an agent shows.
const actionSigningKey = "agent.signing-key"

// examine marks the backups that the catalog has seen otherwise. Each is in the audit log as it is
// kept as damaged.
func (s *session) examine(ctx context.Context, backups []fleet.Backup) error {
	suspects, err := s.Catalog.Backups.Witness(ctx, s.instance, backups)
	if err != nil {
		return err
	}
	for n := range backups {
		reason, suspect := suspects[backups[n].ID]
		if !suspect {
			continue
		}
		backups[n].Suspect, backups[n].SuspectSince = reason, s.Now().UTC()
		s.Log.Error("a backup is not what it was", "instance", s.instance, "backup", backups[n].ID, "reason", reason)
	}
	return nil
}

// takeKey notes with which key the agent signs, and keeps a warning if that is another one than it
// is known by.
func (s *session) takeKey(ctx context.Context, key []byte) error {
	if len(key) != ed25519.PublicKeySize {
		return nil // an agent from before signatures, or one that has nothing to sign yet
	}
	known, err := s.Catalog.Agents.SigningKey(ctx, s.instance)
	if err != nil {
		return err
	}
	if known.Changed(key) {
		s.keyWarning = fmt.Sprintf("the agent signs with the key %s, and is known by %s: see who changed signing.key in its state folder, "+
			"or enrol the agent again", fleet.KeyID(key), fleet.KeyID(known.Pinned))
	}
	if bytes.Equal(known.Last, key) && !known.Pins(key) {
		return nil
	}
	detail := "signs with the key " + fleet.KeyID(key)
	if len(known.Last) > 0 {
		detail += ", and signed with " + fleet.KeyID(known.Last)
	}
	told := audit.Action{Actor: "agent:" + s.instance, Action: actionSigningKey, Instance: s.instance, Target: fleet.KeyID(key), Detail: detail}
	// It has happened; a witness only watches.
	if err := s.Audit.Often(ctx, told, func() error { return nil }); err != nil {
		return err
	}
	return s.Catalog.Agents.KeepSigningKey(ctx, s.instance, key, known.Pins(key), s.Now().UTC())
}
