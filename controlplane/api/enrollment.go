package api

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type enrollmentService struct {
	pgharborv1.UnimplementedEnrollmentServiceServer
	*API
}

// Enroll redeems before it signs, so that a certificate never exists without an
// enrolment that can be revoked; what is wrong with the request is found before
// that and leaves the invite unused. An invite that nobody has issued leaves no
// entry in the trail, or strangers could fill it; one that is used up or void, a few.
func (s *enrollmentService) Enroll(ctx context.Context, request *pgharborv1.EnrollRequest) (*pgharborv1.EnrollResponse, error) {
	now := s.Now().UTC()
	invite, err := s.Catalog.Invites.Get(ctx, pki.HashSecret(request.GetSecret()))
	if err != nil {
		return nil, err
	}
	if err := fleet.CheckDevice(request.GetDevice()); err != nil {
		return nil, err
	}
	key, err := pki.KeyHash(request.GetCsr())
	if err != nil {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "the certificate request is not acceptable: %v", err)
	}
	invited := fleet.Caller{
		Kind: invite.Kind, Name: invite.Name, Role: invite.Role, Identity: fleet.NewID(), Device: request.GetDevice(),
	}
	// Who holds an invite is a stranger who can come with it any number of times.
	action := audit.Action{
		Actor: chain.ActorInvite, Action: "identity.enroll", Target: invited.String(), Detail: "key " + key[:16], Apart: invite.SecretHash,
	}
	again, err := s.Catalog.Invites.Check(ctx, invite.SecretHash, key, now)
	if err != nil {
		return nil, s.Trail.RefusedBefore(ctx, action, err)
	}
	if err := s.Approvals.PassEnrolment(ctx, invite, request.GetDevice(), key); err != nil {
		return nil, err
	}
	redeem := func() (detail string, err error) {
		invited.Identity, err = s.Catalog.Invites.Redeem(ctx, catalog.Enrolment{
			SecretHash: invite.SecretHash, Caller: invited, Key: key, EndsAt: now.Add(s.CertificateLife),
		}, now)
		return "identity " + invited.Identity, err
	}
	if err := s.redeemed(ctx, action, again, redeem); err != nil {
		return nil, err
	}
	issued, err := s.CA.Sign(request.GetCsr(), principalOf(invited), s.CertificateLife, now)
	if err != nil {
		return nil, err
	}
	s.Bells.Ring(session.CallerBell(invited.String())) // an agent's earlier enrolments have ended
	s.Log.Info("enrolled", "caller", invited.String(), "identity", invited.Identity, "serial", issued.Serial)
	return &pgharborv1.EnrollResponse{
		Kind: string(invited.Kind), Name: invited.Name, Role: string(invited.Role), Certificates: issued.Chain,
	}, nil
}

// redeemed writes to the trail what redeem does. The same enrolment again changes
// nothing but until when it holds, and is counted after the first few times.
func (s *enrollmentService) redeemed(ctx context.Context, action audit.Action, again bool, redeem func() (string, error)) error {
	if again && s.Trail.Again(action, chain.OutcomeSucceeded) {
		if _, err := redeem(); err != nil {
			return s.Trail.RefusedBefore(ctx, action, err)
		}
		return nil
	}
	sequence, err := s.Trail.Begin(ctx, action)
	if err != nil {
		return err
	}
	detail, err := redeem()
	return errors.Join(err, s.Trail.End(ctx, sequence, detail, err))
}

func principalOf(c fleet.Caller) pki.Principal {
	return pki.Principal{Kind: pki.Kind(c.Kind), Name: c.Name, Identity: c.Identity}
}
