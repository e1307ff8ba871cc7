package api

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type identityService struct {
	pgharborv1.UnimplementedIdentityServiceServer
	*API
}

func (s *identityService) GetIdentity(ctx context.Context, _ *pgharborv1.GetIdentityRequest) (*pgharborv1.GetIdentityResponse, error) {
	caller := callerFrom(ctx)
	return &pgharborv1.GetIdentityResponse{
		Kind: string(caller.Kind), Name: caller.Name, Role: string(caller.Role),
		Permissions: toProto(access.Permissions(caller), func(p fleet.Permission) string { return string(p) }),
		Instances:   caller.Instances,
	}, nil
}

func (s *identityService) RenewCertificate(ctx context.Context, request *pgharborv1.RenewCertificateRequest) (*pgharborv1.RenewCertificateResponse, error) {
	caller := callerFrom(ctx)
	issued, err := s.CA.Sign(request.GetCsr(), principalOf(caller), s.CertificateLife, s.Now().UTC())
	if err != nil {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "the certificate request is not acceptable: %v", err)
	}
	s.Log.Info("certificate renewed", "caller", caller.String(), "identity", caller.Identity, "serial", issued.Serial)
	return &pgharborv1.RenewCertificateResponse{Certificates: issued.Chain}, nil
}
