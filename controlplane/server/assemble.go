package server

import (
	"context"
	"crypto"

	"github.com/pgharbor/pgharbor/controlplane/api"
	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/approval"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/enrolment"
	"github.com/pgharbor/pgharbor/controlplane/health"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/session"
	"github.com/pgharbor/pgharbor/controlplane/transfer"
)

// controlPlane is all that serves.
type controlPlane struct {
	*api.API
	// certificates also decides, in a handshake, whose certificates are taken.
	certificates *guard.Certificates
}

func assemble(ctx context.Context, c Config, ca *pki.Authorities, store *catalog.Catalog) (*controlPlane, error) {
	advertise, err := advertised(ctx, store)
	if err != nil {
		return nil, err
	}
	trailKey, trailCertificate, err := ca.TrailKey(c.Now)
	if err != nil {
		return nil, err
	}
	notifications, trail := &session.Notifications{}, &audit.Trail{Store: store.Trail, Now: c.Now}
	approvals := &approval.Gate{Catalog: store, Trail: trail, Log: c.Log, Now: c.Now}
	heads := &audit.Heads{
		Store: store.Trail, Trail: trail, Key: trailKey, Certificate: trailCertificate, Check: trailSignature(trailKey.Public(), ca), Log: c.Log, Now: c.Now,
	}
	evaluator := &health.Evaluator{Catalog: store, Now: c.Now, Heartbeat: c.Heartbeat}
	notifier, err := newNotifier(c, store, evaluator)
	if err != nil {
		return nil, err
	}
	certificates := &guard.Certificates{Catalog: store, Trail: trail, Now: c.Now}
	return &controlPlane{certificates: certificates, API: &api.API{
		Catalog: store, CA: ca, Notifications: notifications, Log: c.Log, Now: c.Now,
		Guard: &guard.Guard{
			Authenticator: certificates,
			Catalog:       store, Trail: trail, Notifications: notifications, Log: c.Log, Now: c.Now,
		},
		Trail: trail, Heads: heads, Approvals: approvals, Invites: inviter(store, ca, trail, advertise),
		Enrolment: &enrolment.Enroller{Catalog: store, CA: ca, Trail: trail, Approvals: approvals, Now: c.Now, CertificateLife: c.CertificateLife},
		Sessions:  &session.Registry{Catalog: store, Notifications: notifications, Trail: trail, Heads: heads, Log: c.Log, Now: c.Now, Heartbeat: c.Heartbeat},
		Transfers: &transfer.Broker{},
		Evaluator: evaluator, Notifier: notifier,
	}}, nil
}

// trailSignature reports whether a head or a seal of the trail was signed with the trail's
// key, under whichever CA, or with one that a CA of now has certified for that.
func trailSignature(own crypto.PublicKey, cas *pki.Authorities) func(chain.Signed) error {
	return func(signed chain.Signed) error {
		if signed.SignedBy(own) == nil {
			return nil
		}
		certificate, at := signed.Certified()
		key, err := pki.VerifyTrailCertificate(certificate, at, cas.Certificates()...)
		if err != nil {
			return err
		}
		return signed.SignedBy(key)
	}
}
