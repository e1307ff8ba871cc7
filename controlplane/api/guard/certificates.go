package guard

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// Certificates is the Authenticator of connections over mutual TLS. Its fields are set
// before use and not changed after.
type Certificates struct {
	Catalog *catalog.Catalog
	Audit   *audit.Log
	Now     func() time.Time

	refused refusals
}

// Authenticate returns who the certificate of the connection belongs to, or nil if the peer showed
// none.
func (c *Certificates) Authenticate(ctx context.Context) (*fleet.Caller, error) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return nil, nil
	}
	connection, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok || len(connection.State.VerifiedChains) == 0 {
		return nil, nil
	}
	principal, err := pki.FromCertificate(connection.State.PeerCertificates[0])
	if err != nil {
		return nil, fleet.NewProblem(fleet.ErrUnauthenticated, "%v", err)
	}
	caller, err := c.callerOf(ctx, principal)
	if err != nil {
		return nil, err
	}
	return &caller, nil
}

// checkWithin bounds what a handshake may ask of the catalog.
const checkWithin = 5 * time.Second

// CheckPrincipal refuses a handshake, also a resumed one, with a certificate
// whose owner is unknown or was revoked.
func (c *Certificates) CheckPrincipal(p pki.Principal) error {
	ctx, cancel := context.WithTimeout(context.Background(), checkWithin)
	defer cancel()
	_, err := c.callerOf(ctx, p)
	return c.noteRefused(ctx, p, err)
}

// callerOf returns who a certificate's principal is at this moment, or fleet.ErrUnauthenticated if
// it is unknown or was revoked.
func (c *Certificates) callerOf(ctx context.Context, p pki.Principal) (fleet.Caller, error) {
	return c.Catalog.Identities.Caller(ctx, fleet.CallerKind(p.Kind), p.Name, p.Identity)
}

// noteRefused writes to the audit log that somebody tried a certificate of this fleet that has no
// value any longer, once a day for each. Without a certificate of the fleet's own CA nobody gets
// here, so strangers can't fill the audit log.
func (c *Certificates) noteRefused(ctx context.Context, p pki.Principal, why error) error {
	if !errors.Is(why, fleet.ErrUnauthenticated) || !c.refused.fresh(p.URI().String(), c.Now()) {
		return why
	}
	return errors.Join(why, c.Audit.Denied(ctx, audit.Action{
		Actor: p.String(), Action: "connect", Target: "identity:" + p.Identity, Detail: why.Error(),
	}))
}
