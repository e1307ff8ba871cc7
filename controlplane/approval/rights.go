package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Anyone who could create a second person would need no approval of one: by an invite that they
// redeem themselves, by another device of a colleague, or by a grant. So whatever makes somebody
// able to approve needs an approval too.

// PassInvite is Pass for an invite to somebody who could approve. It returns
// the invite with who approved, and of what grants: they are no part of the invite's
// own words, and may be others by the time it is made.
func (g *Gate) PassInvite(ctx context.Context, caller fleet.Caller, i fleet.Invite, life time.Duration) (fleet.Invite, error) {
	person, err := g.invitee(ctx, i)
	if err != nil {
		return i, err
	}
	i.Grants = person.Grants
	// Anyone who redeems it is nobody until then, also if the person is somebody.
	if !access.EscalatesPrivileges(fleet.Caller{}, person.Caller()) {
		return i, nil
	}
	before := fleet.User{}
	if person.Devices > 0 {
		before = person
	}
	i.ApprovedBy, err = g.passRights(ctx, caller, before, person, fleet.Detail{Name: "invite", Value: fmt.Sprintf("%s for %s", i.Rights(), life)})
	return i, err
}

// invitee is the person whom an invite makes a device of, with the rights of this
// moment.
func (g *Gate) invitee(ctx context.Context, i fleet.Invite) (fleet.User, error) {
	user, err := g.Catalog.Users.Get(ctx, i.Name)
	switch {
	case errors.Is(err, fleet.ErrNotFound), err == nil && !user.RevokedAt.IsZero():
		return fleet.User{Name: i.Name, Role: i.Role, Instances: i.Instances}, nil
	default:
		return user, err
	}
}

// PassEnrolment is Pass for a person's new device, if the person could approve and nobody approved
// of the invite: it is from before a policy asked for that. Anyone who made the invite asks, so
// that anybody else may decide, also the person on another device; the host's own word needs
// nobody's. The key is part of the request: what is let pass is this device.
func (g *Gate) PassEnrolment(ctx context.Context, i fleet.Invite, device, key string) error {
	if i.Kind != fleet.CallerUser || i.ApprovedBy != "" || i.CreatedBy == chain.ActorHost || !i.Open(g.Now().UTC()) {
		return nil
	}
	person, err := g.invitee(ctx, i)
	if err != nil || !access.EscalatesPrivileges(fleet.Caller{}, person.Caller()) {
		return err
	}
	inviter := fleet.Caller{Kind: chain.ActorInvite, Name: strings.TrimPrefix(i.CreatedBy, string(fleet.CallerUser)+":")}
	_, err = g.Pass(ctx, inviter, fleet.GuardedRequest{
		Action: fleet.ActionEnroll, Target: person.Caller().String(),
		Details: []fleet.Detail{{Name: "device", Value: device}, {Name: "key", Value: key}, {Name: "rights", Value: rights(person)}},
	})
	return err
}

// PassChange is Pass for a change of role or scope. It returns the change with
// whom it was decided on.
func (g *Gate) PassChange(ctx context.Context, caller fleet.Caller, name string, change fleet.UserChange, words string) (fleet.UserChange, error) {
	user, err := g.Catalog.Users.Get(ctx, name)
	if err != nil {
		return change, err
	}
	after := user
	if change.Role != "" && change.Role != user.Role {
		after.Role, after.Grants = change.Role, nil
	}
	if change.Instances != nil {
		after.Instances = *change.Instances
	}
	change.Seen, err = g.passGrowth(ctx, caller, user, after, "set", words)
	return change, err
}

// PassGrant is Pass for a grant. It returns whom it was decided on.
func (g *Gate) PassGrant(ctx context.Context, caller fleet.Caller, user fleet.User, grant fleet.Grant) (*fleet.Seen, error) {
	after := user
	after.Grants = slices.DeleteFunc(slices.Clone(user.Grants), func(had fleet.Grant) bool { return had.Permission == grant.Permission })
	after.Grants = append(after.Grants, grant)
	return g.passGrowth(ctx, caller, user, after, "grant", grant.String())
}

// passGrowth is Pass for rights that all devices of a person get at once. The devices are part of
// the request: the approver sees whom it reaches, and a device that comes later is no part of it.
// One may come until the very change, which therefore holds the person against what is returned.
func (g *Gate) passGrowth(ctx context.Context, caller fleet.Caller, before, after fleet.User, verb, words string) (*fleet.Seen, error) {
	devices, err := g.Catalog.Devices.List(ctx, after.Name)
	if err != nil {
		return nil, err
	}
	seen := &fleet.Seen{Person: before}
	var reached []string
	for _, device := range devices {
		if device.RevokedAt.IsZero() {
			reached = append(reached, strings.TrimSpace(device.Name+" "+device.ID))
			seen.Devices = append(seen.Devices, device.ID)
		}
	}
	by, err := g.passPower(ctx, caller, before, after,
		fleet.Detail{Name: verb, Value: words}, fleet.Detail{Name: "devices", Value: strings.Join(reached, ", ")})
	seen.Approved = by != ""
	return seen, err
}

// passPower is Pass for rights that somebody gets, if those make them able to approve.
func (g *Gate) passPower(ctx context.Context, caller fleet.Caller, before, after fleet.User, details ...fleet.Detail) (by string, err error) {
	if !access.EscalatesPrivileges(before.Caller(), after.Caller()) {
		return "", nil
	}
	return g.passRights(ctx, caller, before, after, details...)
}

// passRights is Pass for what makes somebody able to approve. The person's rights before
// and after are part of the request, so an unused approval is void once they change.
func (g *Gate) passRights(ctx context.Context, caller fleet.Caller, before, after fleet.User, details ...fleet.Detail) (by string, err error) {
	details = append(details, fleet.Detail{Name: "rights before", Value: rights(before)}, fleet.Detail{Name: "rights after", Value: rights(after)})
	return g.Pass(ctx, caller, fleet.GuardedRequest{Action: fleet.ActionEscalate, Target: after.Caller().String(), Details: details})
}

// rights are what a person may do, in words.
func rights(u fleet.User) string {
	if u.Role == "" {
		return "none"
	}
	words := []string{fmt.Sprintf("%s on %s", u.Role, u.Instances)}
	for _, grant := range u.Grants {
		words = append(words, grant.String())
	}
	return strings.Join(words, ", ")
}
