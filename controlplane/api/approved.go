package api

import (
	"context"
	"errors"
	"strings"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// approved lets the caller's request pass where no policy asks for more. Where
// one asks for a second person, it uses up the approval of exactly this
// request; without one it asks for it and returns fleet.ErrConflict. It is to be
// called last before the effect: what it lets pass, it lets pass once. By is who
// approved; nobody where nobody had to.
func (a *API) approved(ctx context.Context, r fleet.GuardedRequest) (by string, err error) {
	approval, err := a.approvalFor(ctx, r)
	if err != nil || approval.ID == "" {
		return "", err
	}
	return approval.DecidedBy, a.Trail.Do(ctx, actionOn(callerFrom(ctx), "approval.use", approval), func() error {
		return a.Catalog.Approvals.Use(ctx, approval.ID, fleet.ApprovalUsed, a.Now().UTC())
	})
}

// approvedUntil is approved for an effect that may be broken off and taken up
// again, as a download is. The approval is in use until end is called; with an
// error it is then there once more, as long as it has not expired.
func (a *API) approvedUntil(ctx context.Context, r fleet.GuardedRequest) (end func(error) error, err error) {
	approval, err := a.approvalFor(ctx, r)
	if err != nil || approval.ID == "" {
		return func(error) error { return nil }, err
	}
	sequence, err := a.Trail.Begin(ctx, actionOn(callerFrom(ctx), "approval.use", approval))
	if err != nil {
		return nil, err
	}
	if err := a.Catalog.Approvals.Use(ctx, approval.ID, fleet.ApprovalInUse, a.Now().UTC()); err != nil {
		return nil, errors.Join(err, a.Trail.End(ctx, sequence, "", err))
	}
	return func(failed error) error {
		err := a.Catalog.Approvals.EndUse(context.WithoutCancel(ctx), approval.ID, failed == nil)
		return errors.Join(err, a.Trail.End(ctx, sequence, "", errors.Join(failed, err)))
	}, nil
}

// approvedJob is approved for a job, where it is one that a policy can be about.
func (a *API) approvedJob(ctx context.Context, job fleet.Job) error {
	var action fleet.GuardedAction
	switch {
	case job.Kind == fleet.JobUndo:
		restore, err := a.restore(ctx, job.Spec.RestoreID, fleet.JobRestore)
		if err != nil || restore.CoversUndo(callerFrom(ctx), a.Now().UTC()) {
			return err
		}
		action = fleet.ActionUndo
	case job.Kind == fleet.JobRestore && (job.Spec.Replace || job.Spec.TrustContent):
		action = fleet.ActionReplace
	case job.Kind == fleet.JobRestore && job.Spec.SourceInstance != "":
		action = fleet.ActionElsewhere
	case job.Kind == fleet.JobRelease:
		action = fleet.ActionRelease
	default:
		return nil
	}
	request, err := fleet.GuardedJob(action, job)
	if err != nil {
		return err
	}
	_, err = a.approved(ctx, request)
	return a.warnOfHost(ctx, job, err)
}

// warnOfHost adds to a request that waits for another person what its host would not do anyway, by its agent's last word: the
// approval would be used up to learn that. What is decided is the host's alone, and may be another thing by then.
func (a *API) warnOfHost(ctx context.Context, job fleet.Job, err error) error {
	var problem *fleet.Problem
	if !errors.As(err, &problem) || problem.Approval == "" {
		return err
	}
	agent, lookErr := a.Catalog.Agents.Get(ctx, job.Instance)
	if lookErr != nil {
		return err // without the warning
	}
	if denies := agent.Status.Policy.Denies(job); denies != "" {
		problem.Hint += "; but by its agent's last word the host of " + job.Instance + " does not allow it, and the approval would be used up for nothing: " +
			denies + ": change the policy on that host first (docs/agent.md, \"What the host allows\")"
	}
	return err
}

// approvalFor returns the approval that lets a request pass, or one without an
// id where none is needed.
func (a *API) approvalFor(ctx context.Context, r fleet.GuardedRequest) (none fleet.Approval, err error) {
	policies, err := a.Catalog.Policies.List(ctx)
	if err != nil {
		return none, err
	}
	demand := fleet.Demands(policies, r)
	if demand.Reason && strings.TrimSpace(r.Reason) == "" {
		return none, fleet.NewProblem(fleet.ErrInvalid, "a policy of %s asks why, for each %s", strings.Join(r.Instances(), " or "), r.Action).
			WithHint("add --reason TEXT; pgharbor policies list shows the policies")
	}
	if !demand.Approval {
		return none, nil
	}
	r.Requester = callerFrom(ctx).Name
	approval, err := a.Catalog.Approvals.Of(ctx, r)
	if errors.Is(err, fleet.ErrNotFound) {
		return none, a.ask(ctx, r, demand)
	}
	if err != nil {
		return none, err
	}
	if approval, err = a.settled(ctx, approval); err != nil {
		return none, err
	}
	switch approval.State {
	case fleet.ApprovalApproved:
		return approval, nil
	case fleet.ApprovalPending:
		return none, waits(approval)
	case fleet.ApprovalInUse:
		return none, fleet.NewProblem(fleet.ErrUnreachable, "approval %s is in use: an earlier %s has not ended yet", approval.ID, r.Action).
			WithHint("try again in a moment")
	case fleet.ApprovalDenied:
		denied := fleet.NewProblem(fleet.ErrDenied, "%s denied this request (approval %s)%s", approval.DecidedBy, approval.ID, quoted(approval.Comment)).
			WithHint("pgharbor approvals show %s; another request needs another --reason, or to be another one", approval.ID)
		action := actionOn(callerFrom(ctx), string(r.Action), approval)
		action.Detail = denied.Text
		return none, errors.Join(denied, a.Trail.Denied(ctx, action))
	default:
		return none, a.ask(ctx, r, demand)
	}
}

// ask makes a request wait for another person.
func (a *API) ask(ctx context.Context, r fleet.GuardedRequest, demand fleet.Demand) error {
	if err := a.checkDecider(ctx, r); err != nil {
		return err
	}
	caller := callerFrom(ctx)
	approval := fleet.Approval{
		ID: fleet.NewID(), Request: r, RequesterIdentity: caller.Identity, CreatedAt: a.Now().UTC(), Lifetime: demand.Lifetime,
	}
	if err := a.Catalog.Approvals.MayAsk(ctx, approval); err != nil {
		refused := approval
		refused.ID = "" // it is none, and the next one is the same
		return errors.Join(err, a.Trail.Denied(ctx, actionOn(caller, "approval.ask", refused)))
	}
	err := a.Trail.Do(ctx, actionOn(caller, "approval.ask", approval), func() error {
		asked, err := a.Catalog.Approvals.Ask(ctx, approval)
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

// checkDecider refuses to make a request wait that nobody else could decide on.
func (a *API) checkDecider(ctx context.Context, r fleet.GuardedRequest) error {
	users, err := a.Catalog.Users.List(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.Devices > 0 && u.RevokedAt.IsZero() && access.MayApprove(asCaller(u), r) == nil {
			return nil
		}
	}
	return fleet.NewProblem(fleet.ErrConflict, "this takes another person with the permission %s, and there is none", r.Action.Permission()).
		WithHint("pgharbor users invite NAME --role OWNER, and let NAME log in; where that takes another person too, on the control plane's host: pgharbor-controlplane recover-owner --owner NAME")
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
