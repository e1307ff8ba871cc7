package client

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// trustLife is how long the CAs that are trusted count as compared with those of
// the control plane. A rotation of the CA takes at least as long to get around.
const trustLife = time.Hour

// Trusted returns the CAs that the control plane's certificate may be of.
func (i *Identity) Trusted() []*x509.Certificate { return *i.trusted.Load() }

// trustDue reports whether another look at the control plane's CAs is due.
func (i *Identity) trustDue(now time.Time) bool {
	info, err := os.Stat(filepath.Join(i.dir, caFile))
	if err != nil {
		return true // who reads it next says what is wrong
	}
	age := now.Sub(info.ModTime())
	return age < 0 || age >= trustLife
}

// syncTrust takes over the CAs that the control plane wants to be trusted, and tells it so once
// that is on disk: not before that may it rely on it. It returns the fingerprint of the CA that
// certifies from now on, or nothing if the control plane knows no rotation. The caller has the lock
// of the folder.
func (i *Identity) syncTrust(ctx context.Context, conn grpc.ClientConnInterface, now time.Time) (issuing string, err error) {
	for {
		wanted, err := i.askTrust(ctx, conn)
		if err != nil || wanted == nil {
			return "", err
		}
		if slices.EqualFunc(wanted, i.Trusted(), (*x509.Certificate).Equal) {
			return pki.Fingerprint(wanted[0]), os.Chtimes(filepath.Join(i.dir, caFile), time.Time{}, now)
		}
		if err := writeTrusted(i.dir, wanted); err != nil {
			return "", err
		}
		i.trusted.Store(&wanted)
	}
}

// askTrust returns nil if the control plane is older than this.
func (i *Identity) askTrust(ctx context.Context, conn grpc.ClientConnInterface) ([]*x509.Certificate, error) {
	request := &pgharborv1.SyncAuthoritiesRequest{Issuer: i.issuer()}
	for _, ca := range i.Trusted() {
		request.Trusted = append(request.Trusted, pki.Fingerprint(ca))
	}
	response, err := pgharborv1.NewIdentityServiceClient(conn).SyncAuthorities(ctx, request)
	if status.Code(err) == codes.Unimplemented {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("compare the CAs: %w", err)
	}
	var wanted []*x509.Certificate
	for _, der := range response.GetAuthorities() {
		ca, err := x509.ParseCertificate(der)
		if err != nil || !ca.IsCA {
			return nil, errors.Join(errors.New("compare the CAs: the control plane sent what is no CA"), err)
		}
		wanted = append(wanted, ca)
	}
	// Trust is handed on by a CA that is trusted; a list of strangers is a mistake.
	if !slices.ContainsFunc(wanted, func(ca *x509.Certificate) bool { return slices.ContainsFunc(i.Trusted(), ca.Equal) }) {
		return nil, errors.New("compare the CAs: the control plane names none that is trusted here")
	}
	return wanted, nil
}

// issuer is the fingerprint of the CA that the certificate in use is of: it came
// with it.
func (i *Identity) issuer() string {
	chain := i.cert.Load().Certificate
	ca, err := x509.ParseCertificate(chain[len(chain)-1])
	if err != nil || len(chain) < 2 {
		return ""
	}
	return pki.Fingerprint(ca)
}
