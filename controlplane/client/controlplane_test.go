package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// controlPlane enrols and renews, and does nothing else; CA, TLS and gRPC are the
// real ones.
type controlPlane struct {
	pgharborv1.UnimplementedEnrollmentServiceServer
	pgharborv1.UnimplementedIdentityServiceServer

	ca      *pki.CA
	address string
	// ttl of what is issued, and from when it counts.
	ttl time.Duration
	now func() time.Time

	mu       sync.Mutex
	invites  map[string]pki.Principal
	revoked  bool
	renewals int
	// loseReply makes a renewal fail after it was made.
	loseReply bool
	// answerAs is who a renewal is issued to, if set.
	answerAs *pki.Principal
}

func startControlPlane(t *testing.T) *controlPlane {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cp := &controlPlane{
		ca: ca, address: listener.Addr().String(), ttl: 30 * 24 * time.Hour, now: time.Now,
		invites: map[string]pki.Principal{},
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(ca.ServerConfig(time.Now, cp.check))))
	pgharborv1.RegisterEnrollmentServiceServer(server, cp)
	pgharborv1.RegisterIdentityServiceServer(server, cp)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return cp
}

func (cp *controlPlane) check(pki.Principal) error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.revoked {
		return errors.New("revoked")
	}
	return nil
}

func (cp *controlPlane) invite(p pki.Principal) string {
	secret := pki.NewSecret(rand.Reader)
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.invites[pki.HashSecret(secret)] = p
	return pki.Invite{Address: cp.address, Fingerprint: cp.ca.Fingerprint(), Secret: secret}.String()
}

func (cp *controlPlane) Enroll(_ context.Context, r *pgharborv1.EnrollRequest) (*pgharborv1.EnrollResponse, error) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	hash := pki.HashSecret(r.GetSecret())
	p, ok := cp.invites[hash]
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "the invite was used or has expired")
	}
	delete(cp.invites, hash)
	issued, err := cp.ca.Sign(r.GetCsr(), p, cp.ttl, cp.now())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &pgharborv1.EnrollResponse{Kind: string(p.Kind), Name: p.Name, Certificates: issued.Chain}, nil
}

func (cp *controlPlane) GetIdentity(ctx context.Context, _ *pgharborv1.GetIdentityRequest) (*pgharborv1.GetIdentityResponse, error) {
	p, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.GetIdentityResponse{Kind: string(p.Kind), Name: p.Name}, nil
}

func (cp *controlPlane) RenewCertificate(ctx context.Context, r *pgharborv1.RenewCertificateRequest) (*pgharborv1.RenewCertificateResponse, error) {
	p, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.renewals++
	if cp.answerAs != nil {
		p = *cp.answerAs
	}
	issued, err := cp.ca.Sign(r.GetCsr(), p, cp.ttl, cp.now())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if cp.loseReply {
		return nil, status.Error(codes.Unavailable, "the connection broke")
	}
	return &pgharborv1.RenewCertificateResponse{Certificates: issued.Chain}, nil
}

func caller(ctx context.Context) (pki.Principal, error) {
	from, _ := peer.FromContext(ctx)
	info, _ := from.AuthInfo.(credentials.TLSInfo)
	if len(info.State.PeerCertificates) == 0 {
		return pki.Principal{}, status.Error(codes.Unauthenticated, "no certificate")
	}
	return pki.FromCertificate(info.State.PeerCertificates[0])
}
