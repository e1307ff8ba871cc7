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
	auditKey, auditCertificate, err := ca.AuditKey(c.Now)
	if err != nil {
		return nil, err
	}
	notifications, auditLog := &session.Notifications{}, &audit.Log{Store: store.AuditLog, Now: c.Now}
	approvals := &approval.Gate{Catalog: store, Audit: auditLog, Log: c.Log, Now: c.Now}
	checkpoints := &audit.Checkpoints{
		Store: store.AuditLog, Audit: auditLog, Key: auditKey, Certificate: auditCertificate, Check: auditSignature(auditKey.Public(), ca), Log: c.Log, Now: c.Now,
	}
	evaluator := &health.Evaluator{Catalog: store, Now: c.Now, Heartbeat: c.Heartbeat}
	notifier, err := newNotifier(c, store, evaluator)
	if err != nil {
		return nil, err
	}
	certificates := &guard.Certificates{Catalog: store, Audit: auditLog, Now: c.Now}
	return &controlPlane{certificates: certificates, API: &api.API{
		Catalog: store, CA: ca, Notifications: notifications, Log: c.Log, Now: c.Now,
		Guard: &guard.Guard{
			Authenticator: certificates,
			Catalog:       store, Audit: auditLog, Notifications: notifications, Log: c.Log, Now: c.Now,
		},
		Audit: auditLog, Checkpoints: checkpoints, Approvals: approvals, Invites: inviter(store, ca, auditLog, advertise),
		Enrolment: &enrolment.Enroller{Catalog: store, CA: ca, Audit: auditLog, Approvals: approvals, Now: c.Now, CertificateLife: c.CertificateLife},
		Sessions:  &session.Registry{Catalog: store, Notifications: notifications, Audit: auditLog, Checkpoints: checkpoints, Log: c.Log, Now: c.Now, Heartbeat: c.Heartbeat},
		Transfers: &transfer.Broker{},
		Evaluator: evaluator, Notifier: notifier,
	}}, nil
}

// auditSignature reports whether a checkpoint or a seal of the audit log was signed with the audit
// log's key, under whichever CA, or with one that a CA of now has certified for that.
func auditSignature(own crypto.PublicKey, cas *pki.Authorities) func(chain.Signed) error {
	return func(signed chain.Signed) error {
		if signed.SignedBy(own) == nil {
			return nil
		}
		certificate, at := signed.Certified()
		key, err := pki.VerifyAuditCertificate(certificate, at, cas.Certificates()...)
		if err != nil {
			return err
		}
		return signed.SignedBy(key)
	}
}
