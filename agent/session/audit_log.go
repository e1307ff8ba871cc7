package session

import (
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// errBeginsAgain ends a session in which the control plane was not told of that: a
// hello says it.
var errBeginsAgain = errors.New("somebody has accepted here that the control plane's audit log is another one, and the next session says so")

// mustSayAgain is errBeginsAgain if somebody has accepted another audit log since the hello.
func (c *connection) mustSayAgain() error {
	if c.agent.AuditKey == nil || c.saidAgain.Load() {
		return nil
	}
	if c.agent.Work.AuditLog.BeginsAgain() {
		return errBeginsAgain
	}
	return nil
}

// takeCheckpoint keeps a checkpoint of the audit log that the control plane has signed.
func (c *connection) takeCheckpoint(told *pgharborv1.TrailHead) error {
	if c.agent.AuditKey == nil {
		return nil
	}
	if err := c.mustSayAgain(); err != nil {
		return err // before the checkpoint takes the place of what was accepted
	}
	checkpoint := chain.SignedCheckpoint{
		Checkpoint: chain.Checkpoint{Sequence: told.GetSequence(), Hash: told.GetHash()}, At: told.GetAt().AsTime(),
		Signature: told.GetSignature(), Certificate: told.GetCertificate(),
	}
	key, err := c.agent.AuditKey(checkpoint.Certificate, checkpoint.At)
	if err == nil {
		err = checkpoint.SignedBy(key)
	}
	c.agent.Work.AuditLog.Hear(checkpoint, err)
	if !c.agent.Work.AuditLog.BeginsAgain() {
		c.saidAgain.Store(false)
	}
	return nil
}

// heldCheckpoint is what the agent says of the audit log in its hello; nil if it knows nothing of
// it.
func (c *connection) heldCheckpoint() *pgharborv1.TrailHead {
	if c.agent.AuditKey == nil {
		return nil
	}
	switch h, again := c.agent.Work.AuditLog.Checkpoint(); {
	case again:
		c.saidAgain.Store(true)
		return &pgharborv1.TrailHead{BeginsAnew: true}
	case h == nil:
		return nil
	default:
		return &pgharborv1.TrailHead{
			Sequence: h.Sequence, Hash: h.Hash, At: timestamppb.New(h.At), Signature: h.Signature, Certificate: h.Certificate,
		}
	}
}
