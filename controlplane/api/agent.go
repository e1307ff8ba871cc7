package api

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type agentService struct {
	pgharborv1.UnimplementedAgentServiceServer
	*API
}

// ListAgents returns every agent in scope at once: a fleet has hundreds, not millions.
func (s *agentService) ListAgents(ctx context.Context, _ *pgharborv1.ListAgentsRequest) (*pgharborv1.ListAgentsResponse, error) {
	agents, err := s.Catalog.Agents.List(ctx, guard.ListScope(ctx))
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListAgentsResponse{Agents: toProto(agents, s.agentToProto)}, nil
}

func (s *agentService) GetAgent(ctx context.Context, request *pgharborv1.GetAgentRequest) (*pgharborv1.GetAgentResponse, error) {
	agent, err := s.Catalog.Agents.Get(ctx, request.GetName())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.GetAgentResponse{Agent: s.agentToProto(agent)}, nil
}

func (s *agentService) CreateAgentInvite(ctx context.Context, request *pgharborv1.CreateAgentInviteRequest) (*pgharborv1.CreateAgentInviteResponse, error) {
	if err := pki.ValidName(request.GetName()); err != nil {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "%v", err)
	}
	life, err := inviteLife(request.GetTtl())
	if err != nil {
		return nil, err
	}
	word, invite, err := s.Invites.Invite(ctx, guard.CallerFrom(ctx), fleet.Invite{Kind: fleet.CallerAgent, Name: request.GetName()}, life)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.CreateAgentInviteResponse{Invite: word, ExpiresAt: stamp(invite.ExpiresAt)}, nil
}

func (s *agentService) RevokeAgent(ctx context.Context, request *pgharborv1.RevokeAgentRequest) (*pgharborv1.RevokeAgentResponse, error) {
	revoked := fleet.Caller{Kind: fleet.CallerAgent, Name: request.GetName()}
	action := audit.Action{Actor: guard.CallerFrom(ctx).String(), Action: "agent.revoke", Instance: revoked.Name, Target: revoked.String()}
	if _, err := s.Catalog.Agents.Get(ctx, revoked.Name); err != nil {
		return nil, s.Audit.RefusedBefore(ctx, action, err)
	}
	err := s.Audit.Do(ctx, action, func() error {
		return s.Catalog.Agents.Revoke(ctx, revoked.Name, s.Now().UTC())
	})
	if err != nil {
		return nil, err
	}
	s.Notifications.Notify(session.CallerChannel(revoked.String()))
	agent, err := s.Catalog.Agents.Get(ctx, revoked.Name)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.RevokeAgentResponse{Agent: s.agentToProto(agent)}, nil
}
