package api

import (
	"context"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type approvalService struct {
	pgharborv1.UnimplementedApprovalServiceServer
	*API
}

func (s *approvalService) ListApprovals(ctx context.Context, request *pgharborv1.ListApprovalsRequest) (*pgharborv1.ListApprovalsResponse, error) {
	query := catalog.ApprovalQuery{Page: page(request.GetPageSize(), request.GetPageToken()), Scope: guard.ListScope(ctx)}
	approvals, next, err := s.Approvals.List(ctx, guard.CallerFrom(ctx), query, request.GetAll())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListApprovalsResponse{Approvals: toProto(approvals, s.show), NextPageToken: next}, nil
}

func (s *approvalService) GetApproval(ctx context.Context, request *pgharborv1.GetApprovalRequest) (*pgharborv1.GetApprovalResponse, error) {
	approval, err := s.Approvals.Get(ctx, guard.CallerFrom(ctx), request.GetId())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.GetApprovalResponse{Approval: s.show(approval)}, nil
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
	approval, err := s.Approvals.Decide(ctx, guard.CallerFrom(ctx), id, as, comment)
	if err != nil {
		return nil, err
	}
	return s.show(approval), nil
}

func (s *approvalService) show(approval fleet.Approval) *pgharborv1.Approval {
	return approvalToProto(approval, s.Now().UTC())
}

func approvalToProto(approval fleet.Approval, now time.Time) *pgharborv1.Approval {
	r := approval.Request
	return &pgharborv1.Approval{
		Id: approval.ID, Action: string(r.Action), Instance: r.Instance, SourceInstance: r.Source, Target: r.Target, Reason: r.Reason, RequestedBy: r.Requester,
		Details: toProto(r.Details, func(d fleet.Detail) *pgharborv1.ApprovalDetail {
			return &pgharborv1.ApprovalDetail{Name: d.Name, Value: d.Value}
		}),
		State: string(approval.StateAt(now)), CreatedAt: stamp(approval.CreatedAt), ExpiresAt: stamp(approval.ExpiresAt),
		DecidedBy: approval.DecidedBy, DecidedAt: stamp(approval.DecidedAt), Comment: approval.Comment, UsedAt: stamp(approval.UsedAt),
	}
}
