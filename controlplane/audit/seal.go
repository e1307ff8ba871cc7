package audit

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// CheckSeal returns an error that wraps fleet.ErrIntegrity for a seal that the control plane has
// not signed as one: anyone who writes it into the catalog would have the entries before it taken
// for sealed off. The zero Seal is that of a whole audit log.
func CheckSeal(seal chain.Seal, check func(chain.Signed) error) error {
	if seal.Checkpoint == (chain.Checkpoint{}) {
		return nil
	}
	if err := check(seal); err != nil {
		return fleet.NewProblem(fleet.ErrIntegrity, "the audit log is said to have been sealed off at %s, and that does not hold: %v", seal, err).
			WithHint("keep the catalog as it is; docs/audit.md says how to go on")
	}
	return nil
}

// Seal returns up to where the audit log was sealed off, signed again under the CA of now, which
// may be another than then; the zero Seal if it was not. One that does not hold is not signed: the
// error wraps fleet.ErrIntegrity.
func (h *Checkpoints) Seal(ctx context.Context) (chain.Seal, error) {
	seal, err := h.Store.Sealed(ctx)
	if err != nil || seal.Checkpoint == (chain.Checkpoint{}) {
		return chain.Seal{}, err
	}
	if err := CheckSeal(seal, h.Check); err != nil {
		return chain.Seal{}, err
	}
	certificate, err := h.Certificate()
	if err != nil {
		return chain.Seal{}, err
	}
	return chain.SignSeal(seal.Checkpoint, seal.FileSHA256, h.Now(), h.Key, certificate)
}
