package approval

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// List returns a page of the approvals that concern the caller, in their state of
// now, and the token of the next page. With all, it includes those that have ended.
func (g *Gate) List(ctx context.Context, caller fleet.Caller, q catalog.ApprovalQuery, all bool) (page []fleet.Approval, next string, err error) {
	if !all {
		q.Waiting = g.Now().UTC()
	}
	approvals, next, err := g.Catalog.Approvals.List(ctx, q)
	if err != nil {
		return nil, "", err
	}
	for _, approval := range approvals {
		if !concerns(caller, approval) {
			continue
		}
		if approval, err = g.shown(ctx, approval); err != nil {
			return nil, "", err
		}
		if all || approval.State.Open() {
			page = append(page, approval)
		}
	}
	return page, next, nil
}

// Get returns an approval that concerns the caller, in its state of now, or
// fleet.ErrNotFound.
func (g *Gate) Get(ctx context.Context, caller fleet.Caller, id string) (fleet.Approval, error) {
	approval, err := g.Catalog.Approvals.Get(ctx, id)
	if err == nil && !concerns(caller, approval) {
		err = noApproval(id)
	}
	if err == nil {
		approval, err = g.shown(ctx, approval)
	}
	return approval, err
}

// noApproval also answers anyone whom an approval does not concern, so that its id tells them
// nothing.
func noApproval(id string) error {
	return fleet.NewProblem(fleet.ErrNotFound, "there is no approval %q", id)
}

// concerns reports whether somebody is shown an approval.
func concerns(c fleet.Caller, approval fleet.Approval) bool {
	return approval.Request.Requester == c.Name || access.MayApprove(c, approval.Request) == nil || access.Has(c, fleet.PermissionAuditRead)
}

// Decide records the caller's decision on a pending request and returns the approval
// with it.
func (g *Gate) Decide(ctx context.Context, caller fleet.Caller, id string, as fleet.ApprovalState, comment string) (none fleet.Approval, err error) {
	approval, err := g.Catalog.Approvals.Get(ctx, id)
	if err != nil {
		return none, err
	}
	verb := "approval.approve"
	if as == fleet.ApprovalDenied {
		verb = "approval.deny"
	}
	action := actionOn(caller, verb, approval)
	if err := access.MayApprove(caller, approval.Request); err != nil {
		action.Detail += ": " + err.Error()
		if !concerns(caller, approval) {
			err = noApproval(id)
		}
		return none, errors.Join(err, g.Audit.Denied(ctx, action))
	}
	if approval, err = g.refreshed(ctx, approval); err != nil {
		return none, err
	}
	if approval.State != fleet.ApprovalPending {
		return none, fleet.NewProblem(fleet.ErrConflict, "approval %s does not wait for a decision: it is %s", id, approval.State).
			WithHint("pgharbor approvals show %s", id)
	}
	if comment != "" {
		action.Detail += ": " + comment
	}
	err = g.Audit.Do(ctx, action, func() error {
		return g.Catalog.Approvals.Decide(ctx, id, as, caller, comment, g.Now().UTC())
	})
	if err != nil {
		return none, err
	}
	return g.Catalog.Approvals.Get(ctx, id)
}
