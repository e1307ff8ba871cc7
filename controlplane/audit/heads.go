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

// ActionDispute is the action of the entry that says that somebody has seen
// another trail.
const ActionDispute = "trail.dispute"

// HeadStore is what Heads asks of the trail.
type HeadStore interface {
	Head(context.Context) (chain.Head, error)
	// Dispute says in what the trail differs from one that had this head, or "".
	Dispute(context.Context, chain.Head) (string, error)
	// Sealed returns up to where the trail is said to have been sealed off.
	Sealed(context.Context) (chain.Seal, error)
}

// Heads signs where the trail ends. What was signed is a promise: once the trail no
// longer has that entry, nothing is signed any more. Its fields are set before use;
// it is safe for concurrent use.
type Heads struct {
	Store       HeadStore
	Trail       *Trail
	Key         crypto.Signer
	Certificate func() ([]byte, error) // of the key, DER; another one after a rotation of the CA
	// Check returns an error for what was not signed by this control plane.
	Check func(chain.Signed) error
	Log   *slog.Logger
	Now   func() time.Time

	mu      sync.Mutex
	signed  chain.SignedHead
	dispute string
}

// Current returns the head of this moment. One head is signed once under one CA. That of an
// empty trail is not Valid and not signed. The error wraps fleet.ErrIntegrity where
// the trail was changed behind the control plane's back.
func (h *Heads) Current(ctx context.Context) (chain.SignedHead, error) {
	head, err := h.Store.Head(ctx)
	if err != nil {
		return chain.SignedHead{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	certificate, err := h.Certificate()
	if err != nil {
		return chain.SignedHead{Head: head}, err
	}
	if h.signed.Valid() && h.signed.Head == head && bytes.Equal(h.signed.Certificate, certificate) {
		return h.signed, nil
	}
	if err := h.stillThere(ctx); err != nil || !head.Valid() {
		return chain.SignedHead{Head: head}, err
	}
	signed, err := chain.Sign(head, h.Now(), h.Key, certificate)
	if err == nil {
		h.signed = signed
	}
	return signed, err
}

// stillThere reports whether the trail goes on from the head that was signed last, and
// whether what it lacks was sealed off.
func (h *Heads) stillThere(ctx context.Context) error {
	if h.dispute == "" {
		about, dispute, err := h.disputed(ctx)
		if err != nil {
			return err
		}
		if dispute != "" {
			h.dispute = dispute
			h.Log.Error("the trail was changed behind the control plane's back", "head", about, "dispute", dispute)
			err := h.Trail.note(ctx, Action{
				Actor: chain.ActorControlPlane, Action: ActionDispute, Target: about.String(), Detail: dispute,
			})
			if err != nil {
				h.Log.Error("the trail does not say that it was changed", "error", err)
			}
		}
	}
	if h.dispute == "" {
		return nil
	}
	return fleet.NewProblem(fleet.ErrIntegrity, "what the control plane has signed is no longer there: %s", h.dispute).
		WithHint("keep the catalog as it is; docs/audit.md says how to go on")
}

func (h *Heads) disputed(ctx context.Context) (about chain.Head, dispute string, err error) {
	seal, err := h.Store.Sealed(ctx)
	if err != nil {
		return about, "", err
	}
	if err := CheckSeal(seal, h.Check); err != nil {
		return seal.Head, err.Error(), nil
	}
	if !h.signed.Valid() {
		return about, "", nil
	}
	dispute, err = h.Store.Dispute(ctx, h.signed.Head)
	return h.signed.Head, dispute, err
}

// note writes that something went wrong that nobody has begun.
func (t *Trail) note(ctx context.Context, a Action) error {
	_, err := t.write(context.WithoutCancel(ctx), a, chain.OutcomeFailed)
	if err != nil {
		return fmt.Errorf("audit: %s could not be written down: %w", a.Action, err)
	}
	return nil
}
