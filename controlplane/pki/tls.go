package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/internal/random"
)

// ErrWrongServer is wrapped if the peer that was dialled is not the control plane that the invite
// or the identity names.
var ErrWrongServer = errors.New("the server is not the control plane of this identity")

const serverCertLife = 24 * time.Hour

// ServerConfig is the control plane's side of TLS 1.3. Its certificate lives in memory alone and is
// renewed there. A client may come without a certificate; one that it presents must be of this CA,
// and check must accept its principal, on every connection and also if a session is resumed.
func (ca *CA) ServerConfig(now func() time.Time, check func(Principal) error) *tls.Config {
	return serverConfig([]*CA{ca}, now, check)
}

// serverConfig trusts every one of the CAs; the first certifies the control plane.
func serverConfig(cas []*CA, now func() time.Time, check func(Principal) error) *tls.Config {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca.cert)
	}
	own := &serverCertificate{ca: cas[0], now: now}
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{"h2"},
		Time:           now,
		GetCertificate: own.get,
		ClientAuth:     tls.VerifyClientCertIfGiven,
		ClientCAs:      roots,
		// VerifyPeerCertificate is not called for a resumed session.
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			if !issuedByOne(state.VerifiedChains, cas) {
				return fmt.Errorf("%w: its CA was retired", ErrNoPrincipal)
			}
			p, err := FromCertificate(state.PeerCertificates[0])
			if err != nil {
				return err
			}
			if p.Kind == KindServer || p.Kind == KindAuditLog {
				return fmt.Errorf("%w: a control plane is nobody's client", ErrNoPrincipal)
			}
			return check(p)
		},
	}
}

// issuedByOne reports whether a chain still ends in one of the CAs. A session that is
// resumed brings the chains of its first handshake, which may be of a CA that was
// retired since.
func issuedByOne(chains [][]*x509.Certificate, cas []*CA) bool {
	for _, chain := range chains {
		for _, ca := range cas {
			if chain[len(chain)-1].Equal(ca.cert) {
				return true
			}
		}
	}
	return false
}

// ClientConfig is the side of an agent or a person that has an identity and trusts
// one CA; see ClientConfigTrusting.
func ClientConfig(ca *x509.Certificate, cert func() *tls.Certificate) *tls.Config {
	trusted := []*x509.Certificate{ca}
	return ClientConfigTrusting(func() []*x509.Certificate { return trusted }, cert)
}

// ClientConfigTrusting is the side of an agent or a person that has an identity. It
// trusts the pinned CAs only, and instead of a host name, which may change, it wants
// the control plane's URI. Both functions are asked at each handshake; cert may
// return nil.
func ClientConfigTrusting(trusted func() []*x509.Certificate, cert func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c := cert(); c != nil {
				return c, nil
			}
			return &tls.Certificate{}, nil
		},
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies, without a host name.
		VerifyConnection: func(state tls.ConnectionState) error {
			return verifyServer(state.PeerCertificates, trusted())
		},
	}
}

// EnrollConfig is for the one call that is made before there is an identity. It
// trusts the CA with this fingerprint, which the server must send along.
func EnrollConfig(fingerprint string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{"h2"},
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies, by the pinned fingerprint.
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, cert := range state.PeerCertificates {
				if strings.EqualFold(Fingerprint(cert), fingerprint) {
					return verifyServer(state.PeerCertificates, []*x509.Certificate{cert})
				}
			}
			return fmt.Errorf("%w: its CA has not the fingerprint %s", ErrWrongServer, fingerprint)
		},
	}
}

func verifyServer(chain, trusted []*x509.Certificate) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: it has no certificate", ErrWrongServer)
	}
	roots := x509.NewCertPool()
	for _, ca := range trusted {
		roots.AddCert(ca)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		Roots:     roots,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}); err != nil {
		return fmt.Errorf("%w: %w", ErrWrongServer, err)
	}
	p, err := FromCertificate(chain[0])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrongServer, err)
	}
	if p.Kind != KindServer {
		return fmt.Errorf("%w: it is %s", ErrWrongServer, p)
	}
	return nil
}

// serverCertificate makes the control plane's certificate when it is first needed
// and again at two thirds of its life.
type serverCertificate struct {
	ca  *CA
	now func() time.Time

	mu   sync.Mutex
	cert *tls.Certificate
}

func (s *serverCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	// A clock that was set back needs a new one too.
	if s.cert != nil && now.Before(RenewAt(s.cert.Leaf)) && now.After(s.cert.Leaf.NotBefore) {
		return s.cert, nil
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	p := Principal{Kind: KindServer, Name: "controlplane", Identity: random.ID()}
	issued, err := s.ca.issue(key.Public(), p, x509.ExtKeyUsageServerAuth, serverCertLife, now)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(issued.Chain[0])
	if err != nil {
		return nil, fmt.Errorf("read back the server's certificate: %w", err)
	}
	s.cert = &tls.Certificate{Certificate: issued.Chain, PrivateKey: key, Leaf: leaf}
	return s.cert, nil
}
