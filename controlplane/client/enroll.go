package client

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Enroll redeems an invite and writes the identity to dir, which appears whole or
// not at all. The key is made here and never leaves. Where dir holds anything, the
// error wraps ErrAlreadyEnrolled and the invite stays unused; a malformed invite
// is an ErrBadInvite; a refusal is the gRPC status of the control plane.
func Enroll(ctx context.Context, dir, invite string) (*Identity, error) {
	parsed, err := pki.ParseInvite(invite)
	if err != nil {
		return nil, err
	}
	// What can fail here fails before the invite is spent.
	pending, err := pendingFolder(dir)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(pending)
	key, err := pki.NewKey()
	if err != nil {
		return nil, err
	}
	chain, err := redeem(ctx, parsed, key)
	if err != nil {
		return nil, err
	}
	ca, err := x509.ParseCertificate(chain[len(chain)-1])
	if err != nil || pki.Fingerprint(ca) != parsed.Fingerprint {
		return nil, fmt.Errorf("%w: it sent another CA", pki.ErrWrongServer)
	}
	if _, _, err := verifyIssued(chain, key, ca); err != nil {
		return nil, err
	}
	if err := writeFiles(pending, parsed.Address, ca, key, chain); err != nil {
		return nil, err
	}
	// rename(2) replaces an empty folder, and no other; os.Rename replaces none.
	if err := unix.Rename(pending, dir); err != nil {
		return nil, fmt.Errorf("keep the identity: %w", err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	return Load(dir)
}

func pendingFolder(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for an identity: %w", err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("%w in %s", ErrAlreadyEnrolled, dir)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", fmt.Errorf("make a folder for the identity: %w", err)
	}
	pending, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*.enrolling")
	if err != nil {
		return "", fmt.Errorf("make a folder for the identity: %w", err)
	}
	return pending, nil
}

func redeem(ctx context.Context, invite pki.Invite, key crypto.Signer) ([][]byte, error) {
	csr, err := pki.NewCSR(key)
	if err != nil {
		return nil, err
	}
	conn, err := dial(invite.Address, pki.EnrollConfig(invite.Fingerprint))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	response, err := pgharborv1.NewEnrollmentServiceClient(conn).Enroll(ctx,
		&pgharborv1.EnrollRequest{Secret: invite.Secret, Csr: csr}, grpc.WaitForReady(false))
	if err != nil {
		return nil, err
	}
	if len(response.GetCertificates()) < 2 {
		return nil, errors.New("the control plane sent no certificate and CA")
	}
	return response.GetCertificates(), nil
}

// verifyIssued says whether the chain is a certificate of this CA for this key. Its
// dates are not looked at: a clock that is off is no reason to lose an identity.
func verifyIssued(chain [][]byte, key crypto.Signer, ca *x509.Certificate) (*x509.Certificate, pki.Principal, error) {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, pki.Principal{}, fmt.Errorf("read the issued certificate: %w", err)
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return nil, pki.Principal{}, errors.New("the issued certificate is for another key")
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots:       roots,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		CurrentTime: leaf.NotAfter.Add(-time.Second),
	})
	if err != nil {
		return nil, pki.Principal{}, fmt.Errorf("the issued certificate does not hold: %w", err)
	}
	principal, err := pki.FromCertificate(leaf)
	return leaf, principal, err
}
