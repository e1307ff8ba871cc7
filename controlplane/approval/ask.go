package approval

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// ask records a request as pending.
func (g *Gate) ask(ctx context.Context, caller fleet.Caller, r fleet.GuardedRequest, demand fleet.Demand) error {
	if err := g.CheckDecider(ctx, r); err != nil {
		return err
	}
	approval := fleet.Approval{
		ID: fleet.NewID(), Request: r, RequesterIdentity: caller.Identity, CreatedAt: g.Now().UTC(), Lifetime: demand.Lifetime,
	}
	if err := g.Catalog.Approvals.MayAsk(ctx, approval); err != nil {
		refused := approval
		refused.ID = "" // it is none, and the next one is the same
		return errors.Join(err, g.Audit.Denied(ctx, actionOn(caller, "approval.ask", refused)))
	}
	err := g.Audit.Do(ctx, actionOn(caller, "approval.ask", approval), func() error {
		asked, err := g.Catalog.Approvals.Ask(ctx, approval)
		if err == nil && asked.ID != approval.ID { // the same request, twice at once
			return waits(asked)
		}
		return err
	})
	if err != nil {
		return err
	}
	return waits(approval)
}

// CheckDecider refuses a request on which nobody else could decide.
func (g *Gate) CheckDecider(ctx context.Context, r fleet.GuardedRequest) error {
	users, err := g.Catalog.Users.List(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.Devices > 0 && u.RevokedAt.IsZero() && access.MayApprove(u.Caller(), r) == nil {
			return nil
		}
	}
	return fleet.NewProblem(fleet.ErrConflict, "this takes another person with the permission %s, and there is none", r.Action.Permission()).
		WithHint("pgharbor users invite NAME --role OWNER, and let NAME log in; if that takes another person too, on the control plane's host: pgharbor-controlplane recover-owner --owner NAME")
}

func waits(approval fleet.Approval) error {
	r := approval.Request
	problem := fleet.NewProblem(fleet.ErrConflict, "%s needs another person's approval, and approval %s waits for it", r.Summary(), approval.ID).
		WithHint("another person: pgharbor approvals approve %s; then the same command again", approval.ID)
	problem.Approval = approval.ID
	return problem
}

func quoted(comment string) string {
	if comment == "" {
		return ""
	}
	return ": " + comment
}
