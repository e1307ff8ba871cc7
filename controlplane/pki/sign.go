package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// ErrBadRequest is wrapped by Sign if the certificate request itself is at fault.
var ErrBadRequest = errors.New("the certificate request is refused")

// A P-256 request takes some 200 bytes.
const maxRequestBytes = 4096

// Issued is a new certificate.
type Issued struct {
	// Chain is DER, the leaf first, then the CA.
	Chain [][]byte
	// Serial is hexadecimal.
	Serial   string
	NotAfter time.Time
}

// NewCSR makes a PKCS#10 request, DER, for the key. It names nobody: who the
// certificate is for is the signer's to say.
func NewCSR(key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return der, nil
}

// Sign certifies the key of a PKCS#10 request for the principal, an agent or a
// user, for ttl from now or until the CA itself ends. Nothing but the key is taken
// from the request.
func (ca *CA) Sign(csrDER []byte, p Principal, ttl time.Duration, now time.Time) (Issued, error) {
	if p.Kind == KindServer || p.Kind == KindAuditLog {
		return Issued{}, errors.New("a control plane's certificate is not made by request")
	}
	public, err := requestedKey(csrDER)
	if err != nil {
		return Issued{}, err
	}
	return ca.issue(public, p, x509.ExtKeyUsageClientAuth, ttl, now)
}

// MadeAt is when a certificate of this package was made: it is dated back, so that
// a peer whose clock is behind can use it at once.
func MadeAt(cert *x509.Certificate) time.Time { return cert.NotBefore.Add(clockSkew) }

// RenewAt is when a certificate of this CA should be replaced: at two thirds of
// its life.
func RenewAt(cert *x509.Certificate) time.Time {
	made := MadeAt(cert)
	return made.Add(cert.NotAfter.Sub(made) * 2 / 3)
}

func (ca *CA) issue(public crypto.PublicKey, p Principal, usage x509.ExtKeyUsage, ttl time.Duration, now time.Time) (Issued, error) {
	if err := p.Validate(); err != nil {
		return Issued{}, err
	}
	serial, err := newSerial()
	if err != nil {
		return Issued{}, err
	}
	notAfter := now.Add(ttl)
	if notAfter.After(ca.cert.NotAfter) {
		notAfter = ca.cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: p.Name},
		URIs:         []*url.URL{p.URI()},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     notAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{usage},

		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, public, ca.key)
	if err != nil {
		return Issued{}, fmt.Errorf("certify %s: %w", p, err)
	}
	return Issued{
		Chain:    [][]byte{der, ca.cert.Raw},
		Serial:   serial.Text(16),
		NotAfter: notAfter.UTC().Truncate(time.Second),
	}, nil
}

// KeyHash names the key of a PKCS#10 request, DER: the hexadecimal SHA-256 of its
// SubjectPublicKeyInfo. A request that Sign would refuse is an ErrBadRequest.
func KeyHash(csrDER []byte) (string, error) {
	public, err := requestedKey(csrDER)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// requestedKey checks the kind of key before the signature, so that a huge RSA
// key costs nothing.
func requestedKey(csrDER []byte) (crypto.PublicKey, error) {
	if len(csrDER) > maxRequestBytes {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrBadRequest, maxRequestBytes)
	}
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	switch key := csr.PublicKey.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("%w: an ECDSA key must be on P-256", ErrBadRequest)
		}
	default:
		return nil, fmt.Errorf("%w: the key must be ECDSA P-256 or Ed25519", ErrBadRequest)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: it is not signed by its own key: %w", ErrBadRequest, err)
	}
	return csr.PublicKey, nil
}
