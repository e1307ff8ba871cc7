package session

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// takeTrailHead keeps a head of the trail that the control plane has signed.
func (c *connection) takeTrailHead(told *pgharborv1.TrailHead) {
	if c.TrailKey == nil {
		return
	}
	head := chain.SignedHead{
		Head: chain.Head{Sequence: told.GetSequence(), Hash: told.GetHash()}, At: told.GetAt().AsTime(),
		Signature: told.GetSignature(), Certificate: told.GetCertificate(),
	}
	key, err := c.TrailKey(head.Certificate, head.At)
	if err == nil {
		err = head.SignedBy(key)
	}
	c.Work.HearTrailHead(head, err)
}

// heldTrailHead is what the agent says of the trail in its hello; nil where it knows
// nothing of it.
func (c *connection) heldTrailHead() *pgharborv1.TrailHead {
	if c.TrailKey == nil {
		return nil
	}
	switch h, anew := c.Work.TrailHead(); {
	case anew:
		return &pgharborv1.TrailHead{BeginsAnew: true}
	case h == nil:
		return nil
	default:
		return &pgharborv1.TrailHead{
			Sequence: h.Sequence, Hash: h.Hash, At: timestamppb.New(h.At), Signature: h.Signature, Certificate: h.Certificate,
		}
	}
}
