package api

import (
	"context"
	"slices"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type retentionService struct {
	pgharborv1.UnimplementedRetentionServiceServer
	*API
}

func (s *retentionService) ListRetentions(ctx context.Context, request *pgharborv1.ListRetentionsRequest) (*pgharborv1.ListRetentionsResponse, error) {
	agents, err := s.retained(ctx, request.GetInstance(), guard.ListScope(ctx))
	if err != nil {
		return nil, err
	}
	response := &pgharborv1.ListRetentionsResponse{}
	for _, agent := range agents {
		databases, err := s.Catalog.Backups.RetentionSummary(ctx, agent.Name)
		if err != nil {
			return nil, err
		}
		response.Retentions = append(response.Retentions, &pgharborv1.InstanceRetention{
			Instance: agent.Name, RetentionDays: int32(agent.Status.RetentionDays), KeepLast: int32(agent.Status.KeepLast),
			NextPurgeAt: stamp(agent.Status.NextPurgeAt), Databases: toProto(databases, retentionToProto),
		})
	}
	return response, nil
}

// retained returns the agents in scope that keep backups, or the one that was asked for.
func (s *retentionService) retained(ctx context.Context, instance string, scope fleet.Scope) ([]fleet.Agent, error) {
	if instance != "" && !fleet.IsGlob(instance) {
		agent, err := s.Catalog.Agents.Get(ctx, instance)
		return []fleet.Agent{agent}, err
	}
	agents, err := s.Catalog.Agents.List(ctx, scope)
	if instance == "" || err != nil {
		return agents, err
	}
	agents = slices.DeleteFunc(agents, func(a fleet.Agent) bool { return !fleet.MatchGlob(instance, a.Name) })
	if len(agents) == 0 {
		err = s.Catalog.Agents.CheckKnown(ctx, scope, instance, "")
	}
	return agents, err
}

func retentionToProto(r fleet.RetentionSummary) *pgharborv1.DatabaseRetention {
	return &pgharborv1.DatabaseRetention{
		Database: r.Database, Backups: r.Backups, SizeBytes: r.SizeBytes, Expired: r.Expired, KeptLast: r.KeptLast,
		OldestAt: stamp(r.OldestAt), NewestAt: stamp(r.NewestAt),
	}
}
