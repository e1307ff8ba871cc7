// Package approval decides what needs a second person, and lets each request pass once after
// another person has agreed to exactly that one. It is below the API, which is one of its users.
package approval

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Gate decides whether a request may have its effect. Its fields are set before use and not changed
// after.
type Gate struct {
	Catalog *catalog.Catalog
	Audit   *audit.Log
	Log     *slog.Logger
	Now     func() time.Time
}

// Pass lets the caller's request pass if no policy asks for more. If one asks for a second person,
// it uses up the approval of exactly this request; without one it asks for it and returns
// fleet.ErrConflict. It must be called last before the effect: what it lets pass, it lets pass
// once. By is who approved; nobody if nobody had to.
func (g *Gate) Pass(ctx context.Context, caller fleet.Caller, r fleet.GuardedRequest) (by string, err error) {
	approval, err := g.find(ctx, caller, r)
	if err != nil || approval.ID == "" {
		return "", err
	}
	return approval.DecidedBy, g.Audit.Do(ctx, actionOn(caller, "approval.use", approval), func() error {
		return g.Catalog.Approvals.Use(ctx, approval.ID, fleet.ApprovalUsed, g.Now().UTC())
	})
}

// PassUntil is Pass for an effect that may be interrupted and resumed, as a download is. The
// approval is in use until end is called; after an error it can be used again until it expires.
func (g *Gate) PassUntil(ctx context.Context, caller fleet.Caller, r fleet.GuardedRequest) (end func(error) error, err error) {
	approval, err := g.find(ctx, caller, r)
	if err != nil || approval.ID == "" {
		return func(error) error { return nil }, err
	}
	sequence, err := g.Audit.Begin(ctx, actionOn(caller, "approval.use", approval))
	if err != nil {
		return nil, err
	}
	if err := g.Catalog.Approvals.Use(ctx, approval.ID, fleet.ApprovalInUse, g.Now().UTC()); err != nil {
		return nil, errors.Join(err, g.Audit.End(ctx, sequence, "", err))
	}
	return func(failed error) error {
		err := g.Catalog.Approvals.EndUse(context.WithoutCancel(ctx), approval.ID, failed == nil)
		return errors.Join(err, g.Audit.End(ctx, sequence, "", errors.Join(failed, err)))
	}, nil
}

// PassJob is Pass for a job, if it is one that a policy can be about.
func (g *Gate) PassJob(ctx context.Context, caller fleet.Caller, job fleet.Job) error {
	var action fleet.GuardedAction
	switch {
	case job.Kind == fleet.JobUndo:
		restore, err := g.Catalog.Restores.OfKind(ctx, job.Spec.RestoreID, fleet.JobRestore)
		if err != nil || restore.CoversUndo(caller, g.Now().UTC()) {
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
	_, err = g.Pass(ctx, caller, request)
	return g.warnOfHost(ctx, job, err)
}

// warnOfHost adds to a pending request what the policy of its host forbids by the agent's
// last report, because the approval would be used up by a job that the host refuses. The
// host decides for itself, and its policy may have changed by then.
func (g *Gate) warnOfHost(ctx context.Context, job fleet.Job, err error) error {
	var problem *fleet.Problem
	if !errors.As(err, &problem) || problem.Approval == "" {
		return err
	}
	agent, lookErr := g.Catalog.Agents.Get(ctx, job.Instance)
	if lookErr != nil {
		return err // without the warning
	}
	if denies := agent.Status.Policy.Denies(job); denies != "" {
		problem.Hint += "; but by its agent's last word the host of " + job.Instance + " does not allow it, and the approval would be used up for nothing: " +
			denies + ": change the policy on that host first (docs/agent.md, \"What the host allows\")"
	}
	return err
}

// find returns the approval that lets a request pass, or one without an id if none is needed.
func (g *Gate) find(ctx context.Context, caller fleet.Caller, r fleet.GuardedRequest) (none fleet.Approval, err error) {
	policies, err := g.Catalog.Policies.List(ctx)
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
	r.Requester = caller.Name
	approval, err := g.Catalog.Approvals.Of(ctx, r)
	if errors.Is(err, fleet.ErrNotFound) {
		return none, g.ask(ctx, caller, r, demand)
	}
	if err != nil {
		return none, err
	}
	if approval, err = g.refreshed(ctx, approval); err != nil {
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
		action := actionOn(caller, string(r.Action), approval)
		action.Detail = denied.Text
		return none, errors.Join(denied, g.Audit.Denied(ctx, action))
	default:
		return none, g.ask(ctx, caller, r, demand)
	}
}
