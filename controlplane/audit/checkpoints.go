package audit

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// ActionDispute is the action of the entry that reports that somebody has seen another audit log.
const ActionDispute = "trail.dispute"

// CheckpointStore is what Checkpoints asks of the audit log.
type CheckpointStore interface {
	Checkpoint(context.Context) (chain.Checkpoint, error)
	// Dispute says in what the audit log differs from one that had this checkpoint, or "".
	Dispute(context.Context, chain.Checkpoint) (string, error)
	// Sealed returns up to where the audit log is said to have been sealed off.
	Sealed(context.Context) (chain.Seal, error)
}

// Checkpoints signs where the audit log ends. What was signed is a promise: once the audit log no
// longer has that entry, nothing is signed any more. Its fields are set before use; it is safe for
// concurrent use.
type Checkpoints struct {
	Store       CheckpointStore
	Audit       *Log
	Key         crypto.Signer
	Certificate func() ([]byte, error) // of the key, DER; another one after a rotation of the CA
	// Check returns an error for what was not signed by this control plane.
	Check func(chain.Signed) error
	Log   *slog.Logger
	Now   func() time.Time

	mu      sync.Mutex
	signed  chain.SignedCheckpoint
	dispute string
}

// Current returns the checkpoint of this moment. One checkpoint is signed once under one CA. That
// of an empty audit log is not Valid and not signed. The error wraps fleet.ErrIntegrity if the
// audit log was changed behind the control plane's back.
func (h *Checkpoints) Current(ctx context.Context) (chain.SignedCheckpoint, error) {
	checkpoint, err := h.Store.Checkpoint(ctx)
	if err != nil {
		return chain.SignedCheckpoint{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	certificate, err := h.Certificate()
	if err != nil {
		return chain.SignedCheckpoint{Checkpoint: checkpoint}, err
	}
	if h.signed.Valid() && h.signed.Checkpoint == checkpoint && bytes.Equal(h.signed.Certificate, certificate) {
		return h.signed, nil
	}
	if err := h.stillThere(ctx); err != nil || !checkpoint.Valid() {
		return chain.SignedCheckpoint{Checkpoint: checkpoint}, err
	}
	signed, err := chain.Sign(checkpoint, h.Now(), h.Key, certificate)
	if err == nil {
		h.signed = signed
	}
	return signed, err
}

// stillThere reports whether the audit log continues from the checkpoint that was signed last, and
// whether what it lacks was sealed off.
func (h *Checkpoints) stillThere(ctx context.Context) error {
	if h.dispute == "" {
		about, dispute, err := h.disputed(ctx)
		if err != nil {
			return err
		}
		if dispute != "" {
			h.dispute = dispute
			h.Log.Error("the audit log was changed behind the control plane's back", "checkpoint", about, "dispute", dispute)
			err := h.Audit.note(ctx, Action{
				Actor: chain.ActorControlPlane, Action: ActionDispute, Target: about.String(), Detail: dispute,
			})
			if err != nil {
				h.Log.Error("the audit log does not say that it was changed", "error", err)
			}
		}
	}
	if h.dispute == "" {
		return nil
	}
	return fleet.NewProblem(fleet.ErrIntegrity, "what the control plane has signed is no longer there: %s", h.dispute).
		WithHint("keep the catalog as it is; docs/audit.md says how to go on")
}

func (h *Checkpoints) disputed(ctx context.Context) (about chain.Checkpoint, dispute string, err error) {
	seal, err := h.Store.Sealed(ctx)
	if err != nil {
		return about, "", err
	}
	if err := CheckSeal(seal, h.Check); err != nil {
		return seal.Checkpoint, err.Error(), nil
	}
	if !h.signed.Valid() {
		return about, "", nil
	}
	dispute, err = h.Store.Dispute(ctx, h.signed.Checkpoint)
	return h.signed.Checkpoint, dispute, err
}

// note writes that something went wrong that nobody has begun.
func (t *Log) note(ctx context.Context, a Action) error {
	_, err := t.write(context.WithoutCancel(ctx), a, chain.OutcomeFailed)
	if err != nil {
		return fmt.Errorf("audit: %s could not be written down: %w", a.Action, err)
	}
	return nil
}
