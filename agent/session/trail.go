package session

import (
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// errBeginsAnew ends a session in which the control plane was not told of that: a
// hello says it.
var errBeginsAnew = errors.New("somebody has accepted here that the control plane's trail is another one, and the next session says so")

// mustSayAnew is errBeginsAnew where somebody has accepted another trail since the hello.
func (c *connection) mustSayAnew() error {
	if c.agent.TrailKey == nil || c.saidAnew.Load() {
		return nil
	}
	if c.agent.Work.Trail.BeginsAnew() {
		return errBeginsAnew
	}
	return nil
}

// takeTrailHead keeps a head of the trail that the control plane has signed.
func (c *connection) takeTrailHead(told *pgharborv1.TrailHead) error {
	if c.agent.TrailKey == nil {
		return nil
	}
	if err := c.mustSayAnew(); err != nil {
		return err // before the head takes the place of what was accepted
	}
	head := chain.SignedHead{
		Head: chain.Head{Sequence: told.GetSequence(), Hash: told.GetHash()}, At: told.GetAt().AsTime(),
		Signature: told.GetSignature(), Certificate: told.GetCertificate(),
	}
	key, err := c.agent.TrailKey(head.Certificate, head.At)
	if err == nil {
		err = head.SignedBy(key)
	}
	c.agent.Work.Trail.Hear(head, err)
	if !c.agent.Work.Trail.BeginsAnew() {
		c.saidAnew.Store(false)
	}
	return nil
}

// heldTrailHead is what the agent says of the trail in its hello; nil where it knows
// nothing of it.
func (c *connection) heldTrailHead() *pgharborv1.TrailHead {
	if c.agent.TrailKey == nil {
		return nil
	}
	switch h, anew := c.agent.Work.Trail.Head(); {
	case anew:
		c.saidAnew.Store(true)
		return &pgharborv1.TrailHead{BeginsAnew: true}
	case h == nil:
		return nil
	default:
		return &pgharborv1.TrailHead{
			Sequence: h.Sequence, Hash: h.Hash, At: timestamppb.New(h.At), Signature: h.Signature, Certificate: h.Certificate,
		}
	}
}
