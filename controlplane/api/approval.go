package api

import (
	"context"
	"errors"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type approvalService struct {
	pgharborv1.UnimplementedApprovalServiceServer
	*API
}

func (s *approvalService) ListApprovals(ctx context.Context, request *pgharborv1.ListApprovalsRequest) (*pgharborv1.ListApprovalsResponse, error) {
	query := catalog.ApprovalQuery{Page: page(request.GetPageSize(), request.GetPageToken()), Scope: listScope(ctx)}
	if !request.GetAll() {
		query.Waiting = s.Now().UTC()
	}
	approvals, next, err := s.Catalog.Approvals.List(ctx, query)
	if err != nil {
		return nil, err
	}
	response := &pgharborv1.ListApprovalsResponse{NextPageToken: next}
	for _, approval := range approvals {
		if !concerns(callerFrom(ctx), approval) {
			continue
		}
		if approval, err = s.asItStands(ctx, approval); err != nil {
			return nil, err
		}
		if request.GetAll() || approval.State.Open() {
			response.Approvals = append(response.Approvals, s.approvalToProto(approval))
		}
	}
	return response, nil
}

func (s *approvalService) GetApproval(ctx context.Context, request *pgharborv1.GetApprovalRequest) (*pgharborv1.GetApprovalResponse, error) {
	approval, err := s.Catalog.Approvals.Get(ctx, request.GetId())
	if err == nil && !concerns(callerFrom(ctx), approval) {
		err = noApproval(request.GetId())
	}
	if err == nil {
		approval, err = s.asItStands(ctx, approval)
	}
	if err != nil {
		return nil, err
	}
	return &pgharborv1.GetApprovalResponse{Approval: s.approvalToProto(approval)}, nil
}

// noApproval is what whoever an approval does not concern is told of it, too.
func noApproval(id string) error {
	return fleet.NewProblem(fleet.ErrNotFound, "there is no approval %q", id)
}

// concerns says whether somebody is shown an approval.
func concerns(c fleet.Caller, approval fleet.Approval) bool {
	return approval.Request.Requester == c.Name || access.MayApprove(c, approval.Request) == nil || access.Has(c, fleet.PermissionAuditRead)
}

func (s *approvalService) Approve(ctx context.Context, request *pgharborv1.ApproveRequest) (*pgharborv1.ApproveResponse, error) {
	approval, err := s.decide(ctx, request.GetId(), fleet.ApprovalApproved, request.GetComment())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ApproveResponse{Approval: approval}, nil
}

func (s *approvalService) Deny(ctx context.Context, request *pgharborv1.DenyRequest) (*pgharborv1.DenyResponse, error) {
	approval, err := s.decide(ctx, request.GetId(), fleet.ApprovalDenied, request.GetComment())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.DenyResponse{Approval: approval}, nil
}

func (s *approvalService) decide(ctx context.Context, id string, as fleet.ApprovalState, comment string) (*pgharborv1.Approval, error) {
	if err := checkTexts(comment, ""); err != nil {
		return nil, err
	}
	approval, err := s.Catalog.Approvals.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	caller, verb := callerFrom(ctx), "approval.approve"
	if as == fleet.ApprovalDenied {
		verb = "approval.deny"
	}
	action := actionOn(caller, verb, approval)
	if err := access.MayApprove(caller, approval.Request); err != nil {
		action.Detail += ": " + err.Error()
		if !concerns(caller, approval) {
			err = noApproval(id)
		}
		return nil, errors.Join(err, s.Trail.Denied(ctx, action))
	}
	if approval, err = s.settled(ctx, approval); err != nil {
		return nil, err
	}
	if approval.State != fleet.ApprovalPending {
		return nil, fleet.NewProblem(fleet.ErrConflict, "approval %s does not wait for a decision: it is %s", id, approval.State).
			WithHint("pgharbor approvals show %s", id)
	}
	if comment != "" {
		action.Detail += ": " + comment
	}
	err = s.Trail.Do(ctx, action, func() error {
		return s.Catalog.Approvals.Decide(ctx, id, as, caller, comment, s.Now().UTC())
	})
	if err != nil {
		return nil, err
	}
	if approval, err = s.Catalog.Approvals.Get(ctx, id); err != nil {
		return nil, err
	}
	return s.approvalToProto(approval), nil
}

// ExpireApprovals closes what nobody decided on or used in time, at every
// heartbeat interval, until ctx ends. That it holds no longer does not depend on
// this: it is for the trail.
func (a *API) ExpireApprovals(ctx context.Context) {
	ticker := time.NewTicker(a.Sessions.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := a.expireApprovals(ctx); err != nil && ctx.Err() == nil {
			a.Log.Error("approvals that have expired could not be closed", "error", err)
		}
	}
}

func (a *API) expireApprovals(ctx context.Context) error {
	overdue, err := a.Catalog.Approvals.Overdue(ctx, a.Now().UTC())
	for _, approval := range overdue {
		if err == nil {
			_, err = a.closed(ctx, approval, fleet.ApprovalExpired, "")
		}
	}
	return err
}

func (a *API) approvalToProto(approval fleet.Approval) *pgharborv1.Approval {
	r := approval.Request
	return &pgharborv1.Approval{
		Id: approval.ID, Action: string(r.Action), Instance: r.Instance, SourceInstance: r.Source, Target: r.Target, Reason: r.Reason, RequestedBy: r.Requester,
		Details: toProto(r.Details, func(d fleet.Detail) *pgharborv1.ApprovalDetail {
			return &pgharborv1.ApprovalDetail{Name: d.Name, Value: d.Value}
		}),
		State: string(approval.StateAt(a.Now().UTC())), CreatedAt: stamp(approval.CreatedAt), ExpiresAt: stamp(approval.ExpiresAt),
		DecidedBy: approval.DecidedBy, DecidedAt: stamp(approval.DecidedAt), Comment: approval.Comment, UsedAt: stamp(approval.UsedAt),
	}
}
