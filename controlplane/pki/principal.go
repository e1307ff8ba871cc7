// Package pki is the fleet's private certificate authority: it makes the CA,
// certifies the keys of agents and people, and gives both ends of a connection
// their TLS configuration.
//
// Who somebody is, is in the certificate, as its one URI, and nowhere else.
package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Kind says what sort of peer a certificate belongs to.
type Kind string

// The kinds of peer.
const (
	KindAgent  Kind = "agent"
	KindUser   Kind = "user"
	KindServer Kind = "controlplane"
)

// ErrNoPrincipal is wrapped by every error of FromCertificate.
var ErrNoPrincipal = errors.New("the certificate names no principal")

const uriScheme = "pgharbor"

var (
	agentName  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	userName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$`)
	identityID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
)

// Principal is who a certificate speaks for.
type Principal struct {
	Kind Kind
	Name string
	// Identity is the id of the enrolment. Renewals keep it, so that revoking it
	// ends every certificate that came of one invite.
	Identity string
}

// URI is the principal as it is in a certificate: pgharbor://<kind>/<name>/<identity>.
func (p Principal) URI() *url.URL {
	return &url.URL{Scheme: uriScheme, Host: string(p.Kind), Path: "/" + p.Name + "/" + p.Identity}
}

func (p Principal) String() string { return string(p.Kind) + ":" + p.Name }

// Validate reports whether every part has the form that a certificate may carry.
func (p Principal) Validate() error {
	switch p.Kind {
	case KindAgent, KindServer, KindAuditLog:
		if err := ValidName(p.Name); err != nil {
			return err
		}
	case KindUser:
		if err := ValidUserName(p.Name); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown kind of principal %q", p.Kind)
	}
	if !identityID.MatchString(p.Identity) {
		return fmt.Errorf("%q is no identity id", p.Identity)
	}
	return nil
}

// ValidName reports whether an agent, and so its instance, may have this name.
func ValidName(name string) error {
	if !agentName.MatchString(name) {
		return fmt.Errorf("the name %q must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit", name)
	}
	return nil
}

// ValidUserName reports whether a person may have this name.
func ValidUserName(name string) error {
	if !userName.MatchString(name) {
		return fmt.Errorf("the name %q must be 1 to 63 of A-Z a-z 0-9 . _ @ - and start with a letter or digit", name)
	}
	return nil
}

// FromCertificate reads the principal of a certificate whose chain has been
// verified. The certificate must carry exactly one URI, of exactly the form that
// URI writes, and no other name.
func FromCertificate(cert *x509.Certificate) (Principal, error) {
	if len(cert.URIs) != 1 || len(cert.DNSNames)+len(cert.IPAddresses)+len(cert.EmailAddresses) != 0 {
		return Principal{}, fmt.Errorf("%w: it must have one URI and no other name", ErrNoPrincipal)
	}
	u := cert.URIs[0]
	name, identity, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	p := Principal{Kind: Kind(u.Host), Name: name, Identity: identity}
	if err := p.Validate(); err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrNoPrincipal, err)
	}
	if u.String() != p.URI().String() {
		return Principal{}, fmt.Errorf("%w: %q has not the exact form", ErrNoPrincipal, u)
	}
	return p, nil
}
