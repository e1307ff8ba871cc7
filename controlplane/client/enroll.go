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
	"google.golang.org/grpc/peer"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/disk"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Enroll redeems an invite and writes the identity to dir, which appears whole or not at all. The
// key is made here and never leaves. If dir holds anything, the error wraps ErrAlreadyEnrolled and
// the invite stays unused; a malformed invite is an ErrBadInvite; a refusal is the gRPC status of
// the control plane.
//
// If the reply was lost, the error wraps ErrReplyLost: the key is kept next to dir, and to enrol
// again with the same invite, while it holds, leads to the same identity.
func Enroll(ctx context.Context, dir, invite string) (*Identity, error) {
	return enroll(ctx, dir, invite, "", "")
}

// EnrollAgent is Enroll for an agent. An invite for a person stays unused.
func EnrollAgent(ctx context.Context, dir, invite string) (*Identity, error) {
	return enroll(ctx, dir, invite, pki.KindAgent, "")
}

// EnrollDevice is Enroll for one of a person's machines, under a name by which
// they tell it from their others. An invite for an agent stays unused.
func EnrollDevice(ctx context.Context, dir, invite, device string) (*Identity, error) {
	return enroll(ctx, dir, invite, pki.KindUser, device)
}

func enroll(ctx context.Context, dir, invite string, kind pki.Kind, device string) (*Identity, error) {
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
	kept, err := openPendingKey(dir, parsed)
	if err != nil {
		return nil, err
	}
	kept.kind, kept.device = kind, device
	if err := kept.finish(kept.enroll(ctx, dir, pending, parsed)); err != nil {
		return nil, err
	}
	return Load(dir)
}

// enroll makes the identity in the pending folder and then gives it its name.
func (p *pendingKey) enroll(ctx context.Context, dir, pending string, invite pki.Invite) error {
	chain, err := p.redeem(ctx, invite)
	if err != nil {
		return err
	}
	ca, err := x509.ParseCertificate(chain[len(chain)-1])
	if err != nil || pki.Fingerprint(ca) != invite.Fingerprint {
		return fmt.Errorf("%w: it sent another CA", pki.ErrWrongServer)
	}
	if _, _, err := verifyIssued(chain, p.key, []*x509.Certificate{ca}); err != nil {
		return err
	}
	if err := writeFiles(pending, invite.Address, ca, p.key, chain); err != nil {
		return err
	}
	// rename(2) replaces an empty folder, and no other; os.Rename replaces none.
	if err := unix.Rename(pending, dir); err != nil {
		return fmt.Errorf("keep the identity: %w", err)
	}
	return disk.SyncFolder(filepath.Dir(dir))
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

// redeem asks once. Its error wraps ErrReplyLost if the request went out and what became of it is
// not known.
func (p *pendingKey) redeem(ctx context.Context, invite pki.Invite) ([][]byte, error) {
	csr, err := pki.NewCSR(p.key)
	if err != nil {
		return nil, err
	}
	conn, err := dial(invite.Address, pki.EnrollConfig(invite.Fingerprint))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var reached peer.Peer // stays empty if no connection came about
	response, err := pgharborv1.NewEnrollmentServiceClient(conn).Enroll(ctx,
		&pgharborv1.EnrollRequest{Secret: invite.Secret, Csr: csr, Device: p.device, Kind: string(p.kind)}, grpc.WaitForReady(false), grpc.Peer(&reached))
	p.sent = reached.Addr != nil
	if err != nil && p.sent && lost(err) {
		return nil, fmt.Errorf("%w: %w", ErrReplyLost, err)
	}
	if err != nil {
		return nil, err
	}
	if len(response.GetCertificates()) < 2 {
		return nil, errors.New("the control plane sent no certificate and CA")
	}
	return response.GetCertificates(), nil
}

// verifyIssued reports whether the chain is a certificate of one of the CAs for this key. Its
// dates are not looked at: a clock that is off is no reason to lose an identity.
func verifyIssued(chain [][]byte, key crypto.Signer, cas []*x509.Certificate) (*x509.Certificate, pki.Principal, error) {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, pki.Principal{}, fmt.Errorf("read the issued certificate: %w", err)
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return nil, pki.Principal{}, errors.New("the issued certificate is for another key")
	}
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
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
