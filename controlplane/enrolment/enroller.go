package enrolment

import (
	"context"
	"errors"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/approval"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// Enroller makes an identity of the one who redeems an invite, and renews it. All of its fields are
// needed.
type Enroller struct {
	Catalog   *catalog.Catalog
	CA        *pki.Authorities
	Audit     *audit.Log
	Approvals *approval.Gate
	Now       func() time.Time
	// CertificateLife is how long the certificates of agents and people hold;
	// they are renewed at two thirds of it.
	CertificateLife time.Duration
}

// Request is what somebody with an invite asks for.
type Request struct {
	Secret string // of the invite
	Device string
	CSR    []byte // DER
	// Kind is what asks; empty if it did not say.
	Kind fleet.CallerKind
}

// Enroll redeems before it signs, so that a certificate never exists without an enrolment that can
// be revoked; what is wrong with the request is found before that and leaves the invite unused. An
// invite that nobody has issued leaves no entry in the audit log, or strangers could fill it; one
// that is used up or void, a few.
func (n *Enroller) Enroll(ctx context.Context, r Request) (_ fleet.Caller, none pki.Issued, err error) {
	now := n.Now().UTC()
	invite, err := n.Catalog.Invites.Get(ctx, pki.HashSecret(r.Secret))
	if err != nil {
		return fleet.Caller{}, none, err
	}
	if err := fleet.CheckDevice(r.Device); err != nil {
		return fleet.Caller{}, none, err
	}
	key, err := pki.KeyHash(r.CSR)
	if err != nil {
		return fleet.Caller{}, none, fleet.NewProblem(fleet.ErrInvalid, "the certificate request is not acceptable: %v", err)
	}
	invited := fleet.Caller{Kind: invite.Kind, Name: invite.Name, Role: invite.Role, Identity: fleet.NewID(), Device: r.Device}
	// Anyone who holds an invite is a stranger who can come with it any number of times.
	action := audit.Action{
		Actor: chain.ActorInvite, Action: "identity.enroll", Target: invited.String(), Detail: "key " + key[:16], Apart: invite.SecretHash,
	}
	again, err := n.Catalog.Invites.Check(ctx, invite.SecretHash, key, now)
	if err != nil {
		return fleet.Caller{}, none, n.Audit.RefusedBefore(ctx, action, err)
	}
	if err := r.checkKind(invite); err != nil {
		return fleet.Caller{}, none, err
	}
	if err := n.Approvals.PassEnrolment(ctx, invite, r.Device, key); err != nil {
		return fleet.Caller{}, none, err
	}
	redeem := func() (detail string, err error) {
		invited.Identity, err = n.Catalog.Invites.Redeem(ctx, catalog.Enrolment{
			SecretHash: invite.SecretHash, Caller: invited, Key: key, EndsAt: now.Add(n.CertificateLife),
		}, now)
		return "identity " + invited.Identity, err
	}
	if err := n.redeemed(ctx, action, again, redeem); err != nil {
		return fleet.Caller{}, none, err
	}
	issued, err := n.CA.Sign(r.CSR, principal(invited), n.CertificateLife, now)
	return invited, issued, err
}

// checkKind refuses an invite that is for a person where an agent asks, and the other way round.
func (r Request) checkKind(invite fleet.Invite) error {
	switch {
	case r.Kind == "" || r.Kind == invite.Kind:
		return nil
	case invite.Kind == fleet.CallerAgent:
		return fleet.NewProblem(fleet.ErrInvalid, "the invite is for the agent of %s, and stays unused", invite.Name).
			WithHint("on the host of that instance: pgharbor-agent enroll INVITE")
	default:
		return fleet.NewProblem(fleet.ErrInvalid, "the invite is for the person %s, and stays unused", invite.Name).
			WithHint("on their machine: pgharbor login INVITE")
	}
}

// redeemed writes to the audit log what redeem does. The same enrolment again changes only until
// when it holds, and is counted after the first few times.
func (n *Enroller) redeemed(ctx context.Context, action audit.Action, again bool, redeem func() (string, error)) error {
	if again && n.Audit.Again(action, chain.OutcomeSucceeded) {
		if _, err := redeem(); err != nil {
			return n.Audit.RefusedBefore(ctx, action, err)
		}
		return nil
	}
	sequence, err := n.Audit.Begin(ctx, action)
	if err != nil {
		return err
	}
	detail, err := redeem()
	return errors.Join(err, n.Audit.End(ctx, sequence, detail, err))
}

// Renew certifies by the newest CA that the caller has said it trusts.
func (n *Enroller) Renew(ctx context.Context, caller fleet.Caller, csr []byte) (none pki.Issued, err error) {
	holder, err := n.Catalog.Identities.Holder(ctx, caller.Identity)
	if err != nil {
		return none, err
	}
	issued, err := n.CA.Sign(csr, principal(caller), n.CertificateLife, n.Now().UTC(), holder.Trusts...)
	if err != nil {
		return none, fleet.NewProblem(fleet.ErrInvalid, "the certificate request is not acceptable: %v", err)
	}
	err = n.Audit.Often(ctx, audit.Action{
		Actor: caller.String(), Action: "identity.renew", Target: caller.String(),
		Detail: "identity " + caller.Identity + ", until " + issued.NotAfter.Format(time.RFC3339),
	}, func() error { return n.Catalog.Identities.RecordCertificate(ctx, caller.Identity, issued.NotAfter) })
	if err != nil {
		return none, err
	}
	return issued, nil
}

func principal(c fleet.Caller) pki.Principal {
	return pki.Principal{Kind: pki.Kind(c.Kind), Name: c.Name, Identity: c.Identity}
}
