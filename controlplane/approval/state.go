package approval

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// refreshed returns an approval with its state of now. It closes one that has ended: its
// time is over, or somebody on whom it depends was revoked or lost the permission.
func (g *Gate) refreshed(ctx context.Context, approval fleet.Approval) (fleet.Approval, error) {
	if !approval.State.Open() || approval.State == fleet.ApprovalInUse {
		return approval, nil
	}
	if approval.StateAt(g.Now().UTC()) == fleet.ApprovalExpired {
		return g.close(ctx, approval, fleet.ApprovalExpired, "")
	}
	err := g.stillCounts(ctx, approval)
	if errors.Is(err, fleet.ErrUnauthenticated) || errors.Is(err, fleet.ErrDenied) {
		return g.close(ctx, approval, fleet.ApprovalVoid, err.Error())
	}
	return approval, err
}

// shown is refreshed for a reader: it writes nothing.
func (g *Gate) shown(ctx context.Context, approval fleet.Approval) (fleet.Approval, error) {
	if !approval.State.Open() || approval.State == fleet.ApprovalInUse {
		return approval, nil
	}
	err := g.stillCounts(ctx, approval)
	if errors.Is(err, fleet.ErrUnauthenticated) || errors.Is(err, fleet.ErrDenied) {
		approval.State, err = fleet.ApprovalVoid, nil
	}
	return approval, err
}

// stillCounts checks those on whom an approval depends, as they are now.
func (g *Gate) stillCounts(ctx context.Context, approval fleet.Approval) error {
	r := approval.Request
	if r.Action != fleet.ActionEnroll { // who holds an invite is nobody yet
		requester, err := g.Catalog.Identities.Caller(ctx, fleet.CallerUser, r.Requester, approval.RequesterIdentity)
		if err != nil {
			return err
		}
		if !access.MayDo(requester, r) {
			return fleet.NewProblem(fleet.ErrDenied, "%s (%s) no longer has the permission %s for it", requester, requester.Role, r.Action.Permission())
		}
	}
	if approval.State == fleet.ApprovalPending {
		return nil
	}
	approver, err := g.Catalog.Identities.Caller(ctx, fleet.CallerUser, approval.DecidedBy, approval.DeciderIdentity)
	if err != nil {
		return err
	}
	return access.MayApprove(approver, r)
}

func (g *Gate) close(ctx context.Context, approval fleet.Approval, as fleet.ApprovalState, why string) (fleet.Approval, error) {
	action := actionOn(fleet.Caller{}, "approval.expire", approval)
	if as == fleet.ApprovalVoid {
		action.Action = "approval.void"
	}
	action.Actor = chain.ActorControlPlane
	if why != "" {
		action.Detail += ": " + why
	}
	approval.State = as
	return approval, g.Audit.Do(ctx, action, func() error { return g.Catalog.Approvals.Close(ctx, approval.ID, as) })
}

// actionOn is what somebody does with an approval, for the audit log.
func actionOn(who fleet.Caller, action string, approval fleet.Approval) audit.Action {
	detail := approval.Request.Summary()
	if approval.DecidedBy != "" {
		detail = "decided by user:" + approval.DecidedBy + ": " + detail
	}
	return audit.Action{
		Actor: who.String(), Action: action, Instance: approval.Request.Instance, Target: approval.ID,
		Reason: approval.Request.Reason, Detail: detail,
	}
}
