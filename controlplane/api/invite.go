package api

import (
	"context"
	"crypto/rand"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

const (
	// InviteLife is how long an invite holds where nobody says otherwise.
	InviteLife    = time.Hour
	maxInviteLife = 7 * 24 * time.Hour
)

// inviteLife is for how long an invite is to hold, as a request says or by default.
func inviteLife(ttl *durationpb.Duration) (time.Duration, error) {
	life := InviteLife
	if ttl != nil {
		life = ttl.AsDuration()
	}
	if life <= 0 || life > maxInviteLife {
		return 0, fleet.NewProblem(fleet.ErrInvalid, "an invite holds for more than 0 and at most %s, not %s", maxInviteLife, life)
	}
	return life, nil
}

// invite makes an invite for whoever i names, on behalf of the caller.
func (a *API) invite(ctx context.Context, i fleet.Invite, life time.Duration) (string, fleet.Invite, error) {
	i.Maker = callerFrom(ctx)
	i.CreatedBy = i.Maker.String()
	var word string
	err := a.Trail.Do(ctx, audit.Action{
		Actor: i.CreatedBy, Action: string(i.Kind) + ".invite", Target: string(i.Kind) + ":" + i.Name, Detail: i.Rights(),
	}, func() (err error) {
		word, i, err = a.IssueInvite(ctx, i, life)
		return err
	})
	return word, i, err
}

// IssueInvite keeps an invite and returns the word that redeems it. The word
// is worth an identity and is never kept or logged.
func (a *API) IssueInvite(ctx context.Context, i fleet.Invite, life time.Duration) (string, fleet.Invite, error) {
	return a.issue(ctx, i, life, a.Catalog.Invites.Create)
}

// RecoverOwner makes an invite for an OWNER of the whole fleet, by the word of
// whoever holds the control plane's host.
func (a *API) RecoverOwner(ctx context.Context, name string) (word string, i fleet.Invite, err error) {
	i = fleet.Invite{Kind: fleet.CallerUser, Name: name, Role: fleet.RoleOwner, CreatedBy: chain.ActorHost}
	err = a.Trail.Do(ctx, audit.Action{Actor: chain.ActorHost, Action: "owner.recover", Target: "user:" + name}, func() error {
		word, i, err = a.issue(ctx, i, InviteLife, a.Catalog.Invites.RecoverOwner)
		return err
	})
	return word, i, err
}

func (a *API) issue(ctx context.Context, i fleet.Invite, life time.Duration, keep func(context.Context, fleet.Invite) error) (string, fleet.Invite, error) {
	secret := pki.NewSecret(rand.Reader)
	i.SecretHash = pki.HashSecret(secret)
	i.CreatedAt = a.Now().UTC()
	i.ExpiresAt = i.CreatedAt.Add(life)
	if err := keep(ctx, i); err != nil {
		return "", i, err
	}
	return pki.Invite{Address: a.Advertise, Fingerprint: a.CA.Fingerprint(), Secret: secret}.String(), i, nil
}
