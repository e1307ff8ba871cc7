package api

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type healthService struct {
	pgharborv1.UnimplementedHealthServiceServer
	*API
}

func (s *healthService) GetHealth(ctx context.Context, request *pgharborv1.GetHealthRequest) (*pgharborv1.GetHealthResponse, error) {
	report, err := s.Judge.Fleet(ctx, request.GetInstance(), listScope(ctx))
	if err != nil {
		return nil, err
	}
	return reportToProto(report), nil
}

func reportToProto(r health.Report) *pgharborv1.GetHealthResponse {
	return &pgharborv1.GetHealthResponse{
		Healthy: r.Healthy, CheckedAt: stamp(r.CheckedAt), Databases: toProto(r.Judgements, judgementToProto),
	}
}

func judgementToProto(j fleet.Judgement) *pgharborv1.DatabaseHealth {
	shown := &pgharborv1.DatabaseHealth{
		Instance: j.Instance, Database: j.Database, Verdict: string(j.Verdict),
		AgentLastSeenAt: stamp(j.LastSeenAt), Warnings: j.Warnings,
		Reasons: toProto(j.Reasons, func(r fleet.Reason) *pgharborv1.HealthReason {
			return &pgharborv1.HealthReason{Verdict: string(r.Verdict), Text: r.Text, NextStep: r.NextStep}
		}),
	}
	if j.NewestBackup != nil {
		shown.NewestBackupAt, shown.NewestBackupSizeBytes = stamp(j.NewestBackup.CreatedAt), j.NewestBackup.SizeBytes
	}
	if j.NewestRun != nil {
		shown.NewestRunState = j.NewestRun.State
	}
	return shown
}
