package api

import (
	"context"
	"crypto/x509"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type identityService struct {
	pgharborv1.UnimplementedIdentityServiceServer
	*API
}

func (s *identityService) GetIdentity(ctx context.Context, _ *pgharborv1.GetIdentityRequest) (*pgharborv1.GetIdentityResponse, error) {
	caller := guard.CallerFrom(ctx)
	return &pgharborv1.GetIdentityResponse{
		Kind: string(caller.Kind), Name: caller.Name, Role: string(caller.Role),
		Permissions: toProto(access.Permissions(caller), func(p fleet.Permission) string { return string(p) }),
		Instances:   caller.Instances,
	}, nil
}

func (s *identityService) RenewCertificate(ctx context.Context, request *pgharborv1.RenewCertificateRequest) (*pgharborv1.RenewCertificateResponse, error) {
	caller := guard.CallerFrom(ctx)
	issued, err := s.Enrolment.Renew(ctx, caller, request.GetCsr())
	if err != nil {
		return nil, err
	}
	s.Log.Info("certificate renewed", "caller", caller.String(), "identity", caller.Identity, "serial", issued.Serial)
	return &pgharborv1.RenewCertificateResponse{Certificates: issued.Chain}, nil
}

// maxTrusted is more CAs than anybody has at once.
const maxTrusted = 8

// SyncAuthorities believes what the caller says of its own trust: anyone who lies locks out nobody
// else.
func (s *identityService) SyncAuthorities(ctx context.Context, request *pgharborv1.SyncAuthoritiesRequest) (*pgharborv1.SyncAuthoritiesResponse, error) {
	if len(request.GetTrusted()) > maxTrusted {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "%d CAs are more than the %d that anybody trusts", len(request.GetTrusted()), maxTrusted)
	}
	for _, fingerprint := range append([]string{request.GetIssuer()}, request.GetTrusted()...) {
		if !pki.ValidFingerprint(fingerprint) {
			return nil, fleet.NewProblem(fleet.ErrInvalid, "%.80q is no fingerprint of a CA", fingerprint)
		}
	}
	if err := s.Catalog.Identities.RecordTrusts(ctx, guard.CallerFrom(ctx).Identity, request.GetTrusted(), request.GetIssuer()); err != nil {
		return nil, err
	}
	return &pgharborv1.SyncAuthoritiesResponse{
		Authorities: toProto(s.CA.Certificates(), func(ca *x509.Certificate) []byte { return ca.Raw }),
	}, nil
}
