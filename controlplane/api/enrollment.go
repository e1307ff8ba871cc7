package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/controlplane/enrolment"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type enrollmentService struct {
	pgharborv1.UnimplementedEnrollmentServiceServer
	*API
}

func (s *enrollmentService) Enroll(ctx context.Context, request *pgharborv1.EnrollRequest) (*pgharborv1.EnrollResponse, error) {
	enrolled, issued, err := s.Enrolment.Enroll(ctx, enrolment.Request{
		Secret: request.GetSecret(), Device: request.GetDevice(), Kind: fleet.CallerKind(request.GetKind()), CSR: request.GetCsr(),
	})
	if err != nil {
		return nil, err
	}
	s.Notifications.Notify(session.CallerChannel(enrolled.String())) // an agent's earlier enrolments have ended
	s.Log.Info("enrolled", "caller", enrolled.String(), "identity", enrolled.Identity, "serial", issued.Serial)
	return &pgharborv1.EnrollResponse{
		Kind: string(enrolled.Kind), Name: enrolled.Name, Role: string(enrolled.Role), Certificates: issued.Chain,
	}, nil
}

// inviteLife is for how long an invite must hold, as a request says or by default.
func inviteLife(ttl *durationpb.Duration) (time.Duration, error) {
	life := enrolment.InviteLife
	if ttl != nil {
		life = ttl.AsDuration()
	}
	return life, enrolment.CheckInviteLife(life)
}
