// Package client is how an agent or a person speaks to a control plane: it enrols
// with an invite, holds the identity that came of it, renews it and dials.
package client

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// What a caller can act upon.
var (
	// ErrNotEnrolled: there is no identity in the folder.
	ErrNotEnrolled = errors.New("not enrolled")
	// ErrAlreadyEnrolled: the folder holds an identity, which is never overwritten.
	ErrAlreadyEnrolled = errors.New("there is an identity already")
	// ErrExpired: the certificate was not renewed in time; only a new invite helps.
	ErrExpired = errors.New("the certificate has expired")
	// ErrBadInvite: the invite was mistyped or cut.
	ErrBadInvite = pki.ErrBadInvite
)

// Identity is who this agent or person is to one control plane. It is safe for
// concurrent use.
type Identity struct {
	dir       string
	address   string
	principal pki.Principal
	// trusted are the CAs that the control plane's certificate may be of; never
	// empty.
	trusted atomic.Pointer[[]*x509.Certificate]
	// cert is replaced by a renewal, and used by every handshake after it.
	cert atomic.Pointer[tls.Certificate]
}

// Load reads the identity that Enroll wrote to dir. Its errors wrap ErrNotEnrolled or ErrExpired if
// it is that.
func Load(dir string) (*Identity, error) { return load(dir, time.Now) }

func load(dir string, now func() time.Time) (*Identity, error) {
	stored, err := readFiles(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s holds no identity", ErrNotEnrolled, dir)
	}
	if err != nil {
		return nil, err
	}
	principal, err := pki.FromCertificate(stored.cert.Leaf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if ended := stored.cert.Leaf.NotAfter; now().After(ended) {
		return nil, fmt.Errorf("%w: that of %s, on %s", ErrExpired, principal, ended.Format(time.RFC3339))
	}
	identity := &Identity{dir: dir, address: stored.address, principal: principal}
	identity.trusted.Store(&stored.trusted)
	identity.cert.Store(stored.cert)
	return identity, nil
}

// Address is the control plane's host:port.
func (i *Identity) Address() string { return i.address }

// Kind is pki.KindAgent or pki.KindUser.
func (i *Identity) Kind() pki.Kind { return i.principal.Kind }

// Name is the agent's, and so its instance's, or the person's.
func (i *Identity) Name() string { return i.principal.Name }

// NotAfter is when the certificate in use ends.
func (i *Identity) NotAfter() time.Time { return i.cert.Load().Leaf.NotAfter }

// AuditKey returns the key of a certificate with which the control plane signs checkpoints of its
// audit log, if a pinned CA has issued it and it held at that moment.
func (i *Identity) AuditKey(certificate []byte, at time.Time) (crypto.PublicKey, error) {
	return pki.VerifyAuditCertificate(certificate, at, i.Trusted()...)
}

// RenewAt is when the certificate in use should be replaced.
func (i *Identity) RenewAt() time.Time { return pki.RenewAt(i.cert.Load().Leaf) }
