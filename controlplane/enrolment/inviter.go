// Package enrolment makes invites, and makes an identity of the one who redeems one. The commands
// on the control plane's host use it as the API does.
package enrolment

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

const (
	// InviteLife is how long an invite holds if nobody says otherwise.
	InviteLife    = time.Hour
	maxInviteLife = 7 * 24 * time.Hour
)

// CheckInviteLife refuses an invite that would hold for too long, or not at all.
func CheckInviteLife(life time.Duration) error {
	if life <= 0 || life > maxInviteLife {
		return fleet.NewProblem(fleet.ErrInvalid, "an invite holds for more than 0 and at most %s, not %s", maxInviteLife, life)
	}
	return nil
}

// Inviter makes invites. All of its fields are needed.
type Inviter struct {
	Catalog *catalog.Catalog
	Audit   *audit.Log
	Now     func() time.Time
	// Address is where the invited person reaches the control plane, host:port.
	Address string
	// Fingerprint returns that of the CA by which they know it.
	Fingerprint func() string
}

// Invite makes an invite for the one that i names, on behalf of somebody. It returns the word that
// redeems it, which is worth an identity and is never kept or logged.
func (n *Inviter) Invite(ctx context.Context, maker fleet.Caller, i fleet.Invite, life time.Duration) (string, fleet.Invite, error) {
	i.Maker, i.CreatedBy = maker, maker.String()
	return n.inAuditLog(ctx, audit.Action{
		Actor: i.CreatedBy, Action: string(i.Kind) + ".invite", Target: string(i.Kind) + ":" + i.Name, Detail: i.Rights(),
	}, i, life, n.Catalog.Invites.Create)
}

// InviteFirstOwner makes the invite of a new control plane.
func (n *Inviter) InviteFirstOwner(ctx context.Context, name string, life time.Duration) (string, fleet.Invite, error) {
	return n.inAuditLog(ctx, audit.Action{
		Actor: chain.ActorHost, Action: "user.invite", Target: "user:" + name, Detail: "the first OWNER",
	}, ownerByHost(name), life, n.Catalog.Invites.Create)
}

// RecoverOwner makes an invite for an OWNER of the whole fleet, by the word of anyone who holds the
// control plane's host.
func (n *Inviter) RecoverOwner(ctx context.Context, name string) (string, fleet.Invite, error) {
	return n.inAuditLog(ctx, audit.Action{
		Actor: chain.ActorHost, Action: "owner.recover", Target: "user:" + name,
	}, ownerByHost(name), InviteLife, n.Catalog.Invites.RecoverOwner)
}

func ownerByHost(name string) fleet.Invite {
	return fleet.Invite{Kind: fleet.CallerUser, Name: name, Role: fleet.RoleOwner, CreatedBy: chain.ActorHost}
}

// inAuditLog makes an invite between two entries of the audit log.
func (n *Inviter) inAuditLog(ctx context.Context, action audit.Action, i fleet.Invite, life time.Duration,
	keep func(context.Context, fleet.Invite) error,
) (word string, made fleet.Invite, err error) {
	err = n.Audit.Do(ctx, action, func() error {
		secret := pki.NewSecret(rand.Reader)
		i.SecretHash = pki.HashSecret(secret)
		i.CreatedAt = n.Now().UTC()
		i.ExpiresAt = i.CreatedAt.Add(life)
		if err := keep(ctx, i); err != nil {
			return err
		}
		word = pki.Invite{Address: n.Address, Fingerprint: n.Fingerprint(), Secret: secret}.String()
		return nil
	})
	return word, i, err
}
