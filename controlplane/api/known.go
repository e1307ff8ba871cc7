package api

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// named is a request for a list that may be of one instance, or of those that a glob matches.
type named interface{ GetInstance() string }

// checkKnown says of a list that is empty whether it is so for a name that nobody has: ErrNotFound.
// A caller is told of what is in their scope alone.
func (a *API) checkKnown(ctx context.Context, scope fleet.Scope, request named) error {
	instance, database := request.GetInstance(), ""
	if fleet.IsGlob(instance) {
		if _, err := fleet.NewScope(instance); err != nil {
			return err
		}
	}
	if of, ok := request.(interface{ GetDatabase() string }); ok {
		database = of.GetDatabase()
	}
	return a.Catalog.Agents.CheckKnown(ctx, scope, instance, database)
}
