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

// Agents are the witnesses of the trail: each keeps signed heads of it, and says
// when it connects what the newest is. Where the trail has another entry in that
// place, or none, it was rewritten, or the catalog is an older copy. Nothing is
// done about it here but to say so.

// sendTrailHead sends where the trail ends, unless the agent was told.
func (s *session) sendTrailHead(ctx context.Context) error {
	if s.Heads == nil {
		return nil
	}
	head, err := s.Heads.Current(ctx)
	if errors.Is(err, fleet.ErrIntegrity) {
		return nil // it has been said, and what the agent holds is the proof
	}
	if err != nil || !head.Valid() || head.Head == s.toldHead {
		return err
	}
	s.toldHead = head.Head
	return s.stream.Send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_TrailHead{TrailHead: &pgharborv1.TrailHead{
		Sequence: head.Sequence, Hash: head.Hash, At: timestamppb.New(head.At), Signature: head.Signature, Certificate: head.Certificate,
	}}})
}

// takeTrailHead compares what the agent has seen with the trail as it is. A head
// that this control plane has not signed proves nothing.
func (s *session) takeTrailHead(ctx context.Context, told *pgharborv1.TrailHead) error {
	if told == nil || s.Heads == nil {
		return nil
	}
	if told.GetBeginsAnew() {
		return s.forgetTrailHead(ctx)
	}
	head := chain.SignedHead{
		Head: chain.Head{Sequence: told.GetSequence(), Hash: told.GetHash()}, At: timeFrom(told.GetAt()),
		Signature: told.GetSignature(), Certificate: told.GetCertificate(),
	}
	if err := s.Heads.Check(head); err != nil {
		s.Log.Error("a head of the trail that the agent sent is refused", "instance", s.instance, "error", err)
		return nil
	}
	dispute, err := s.Catalog.Trail.TakeHead(ctx, catalog.HeldHead{Instance: s.instance, SignedHead: head, ToldAt: s.Now().UTC()})
	if dispute != "" {
		s.Log.Error("the agent has seen another trail than the catalog has", "instance", s.instance, "head", head.Head, "dispute", dispute)
	}
	return err
}

// forgetTrailHead forgets what the agent had seen, where somebody has accepted beside
// it that the trail begins again.
func (s *session) forgetTrailHead(ctx context.Context) error {
	held, err := s.Catalog.Trail.HeadOf(ctx, s.instance)
	if err != nil || !held.Valid() {
		return err
	}
	accepted := audit.Action{
		Actor: "agent:" + s.instance, Action: "trail.accept", Instance: s.instance, Target: held.String(),
		Detail: "beside the agent somebody has accepted that the trail is another than the one with this head",
	}
	return s.Trail.Often(ctx, accepted, func() error { return s.Catalog.Trail.ForgetHead(ctx, s.instance) })
}
