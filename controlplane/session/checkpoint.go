package session

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Agents are the witnesses of the audit log: each keeps signed checkpoints of it, and says when it
// connects what the newest is. If the audit log has another entry in that place, or none, it was
// rewritten, or the catalog is an older copy. Nothing is done about it here but to say so.

// sendCheckpoint sends where the audit log ends, unless the agent was told.
func (s *session) sendCheckpoint(ctx context.Context) error {
	if s.Checkpoints == nil {
		return nil
	}
	checkpoint, err := s.Checkpoints.Current(ctx)
	if errors.Is(err, fleet.ErrIntegrity) {
		return nil // it has been said, and what the agent holds is the proof
	}
	if err != nil || !checkpoint.Valid() || checkpoint.Checkpoint == s.toldCheckpoint {
		return err
	}
	s.toldCheckpoint = checkpoint.Checkpoint
	return s.stream.Send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_TrailHead{TrailHead: &pgharborv1.TrailHead{
		Sequence: checkpoint.Sequence, Hash: checkpoint.Hash, At: timestamppb.New(checkpoint.At), Signature: checkpoint.Signature, Certificate: checkpoint.Certificate,
	}}})
}

// takeCheckpoint compares what the agent has seen with the audit log as it is. A checkpoint that
// this control plane has not signed proves nothing.
func (s *session) takeCheckpoint(ctx context.Context, told *pgharborv1.TrailHead) error {
	if told == nil || s.Checkpoints == nil {
		return nil
	}
	if told.GetBeginsAnew() {
		return s.forgetCheckpoint(ctx)
	}
	checkpoint := chain.SignedCheckpoint{
		Checkpoint: chain.Checkpoint{Sequence: told.GetSequence(), Hash: told.GetHash()}, At: timeFrom(told.GetAt()),
		Signature: told.GetSignature(), Certificate: told.GetCertificate(),
	}
	if err := s.Checkpoints.Check(checkpoint); err != nil {
		s.Log.Error("a checkpoint of the audit log that the agent sent is refused", "instance", s.instance, "error", err)
		return nil
	}
	dispute, err := s.Catalog.AuditLog.TakeCheckpoint(ctx, catalog.HeldCheckpoint{Instance: s.instance, SignedCheckpoint: checkpoint, ToldAt: s.Now().UTC()})
	if dispute != "" {
		s.Log.Error("the agent has seen another audit log than the catalog has", "instance", s.instance, "checkpoint", checkpoint.Checkpoint, "dispute", dispute)
	}
	return err
}

// forgetCheckpoint forgets what the agent had seen, if somebody has accepted on its host that the
// audit log begins again.
func (s *session) forgetCheckpoint(ctx context.Context) error {
	held, err := s.Catalog.AuditLog.CheckpointOf(ctx, s.instance)
	if err != nil || !held.Valid() {
		return err
	}
	accepted := audit.Action{
		Actor: "agent:" + s.instance, Action: "trail.accept", Instance: s.instance, Target: held.String(),
		Detail: "on the agent's host somebody has accepted that the audit log is another than the one with this checkpoint",
	}
	return s.Audit.Often(ctx, accepted, func() error { return s.Catalog.AuditLog.ForgetCheckpoint(ctx, s.instance) })
}
