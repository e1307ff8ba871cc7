package audit

import (
	"context"
	"crypto"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// Heads signs where the trail ends. Its fields are set before use; it is safe for
// concurrent use.
type Heads struct {
	Store interface {
		TrailHead(context.Context) (chain.Head, error)
	}
	Key         crypto.Signer
	Certificate []byte // of the key, DER
	Now         func() time.Time

	mu     sync.Mutex
	signed chain.SignedHead
}

// Current returns the head of this moment. One head is signed once. That of an
// empty trail is not Valid and not signed.
func (h *Heads) Current(ctx context.Context) (chain.SignedHead, error) {
	head, err := h.Store.TrailHead(ctx)
	if err != nil || !head.Valid() {
		return chain.SignedHead{Head: head}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.signed.Head == head {
		return h.signed, nil
	}
	signed, err := chain.Sign(head, h.Now(), h.Key, h.Certificate)
	if err == nil {
		h.signed = signed
	}
	return signed, err
}
