package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Where a policy asks for approvals, whoever could make another person to give
// them would need nobody: an invite that they redeem themselves, a device more
// of a colleague, a grant. So what makes somebody able to approve waits for an
// approval too.

// approvedInvite is approved for an invite to somebody who could approve.
func (a *API) approvedInvite(ctx context.Context, i fleet.Invite, life time.Duration) error {
	person := fleet.Caller{Kind: i.Kind, Name: i.Name, Role: i.Role, Instances: i.Instances}
	switch user, err := a.Catalog.User(ctx, i.Name); {
	case err == nil && user.RevokedAt.IsZero():
		person = asCaller(user)
	case err != nil && !errors.Is(err, fleet.ErrNotFound):
		return err
	}
	// Whoever redeems it is nobody until then.
	return a.approvedPower(ctx, fleet.Caller{}, person, "invite", fmt.Sprintf("%s for %s", invited(i), life))
}

// approvedChange is approved for a change of role or scope.
func (a *API) approvedChange(ctx context.Context, name string, change fleet.UserChange, words string) error {
	user, err := a.Catalog.User(ctx, name)
	if err != nil {
		return err
	}
	after := user
	if change.Role != "" && change.Role != user.Role {
		after.Role, after.Grants = change.Role, nil
	}
	if change.Instances != nil {
		after.Instances = *change.Instances
	}
	return a.approvedPower(ctx, asCaller(user), asCaller(after), "set", words)
}

// approvedGrant is approved for a grant.
func (a *API) approvedGrant(ctx context.Context, user fleet.User, grant fleet.Grant) error {
	after := user
	after.Grants = slices.DeleteFunc(slices.Clone(user.Grants), func(g fleet.Grant) bool { return g.Permission == grant.Permission })
	after.Grants = append(after.Grants, grant)
	return a.approvedPower(ctx, asCaller(user), asCaller(after), "grant", grant.String())
}

func (a *API) approvedPower(ctx context.Context, before, after fleet.Caller, verb, words string) error {
	if !access.Empowers(before, after) {
		return nil
	}
	return a.approved(ctx, fleet.GuardedRequest{
		Action: fleet.ActionEmpower, Target: after.String(), Details: []fleet.Detail{{Name: verb, Value: words}},
	})
}

// asCaller is a person as they would call.
func asCaller(u fleet.User) fleet.Caller {
	return fleet.Caller{Kind: fleet.CallerUser, Name: u.Name, Role: u.Role, Instances: u.Instances, Grants: u.Grants}
}
