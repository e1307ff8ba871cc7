package api

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type runService struct {
	pgharborv1.UnimplementedRunServiceServer
	*API
}

func (s *runService) ListRuns(ctx context.Context, request *pgharborv1.ListRunsRequest) (*pgharborv1.ListRunsResponse, error) {
	runs, next, err := s.Catalog.Runs.List(ctx, catalog.RunQuery{
		Page:     page(request.GetPageSize(), request.GetPageToken()),
		Instance: request.GetInstance(), Database: request.GetDatabase(), FailedOnly: request.GetFailedOnly(),
		Scope: guard.ListScope(ctx),
	})
	if err == nil && len(runs) == 0 {
		err = s.checkKnown(ctx, guard.ListScope(ctx), request)
	}
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListRunsResponse{Runs: toProto(runs, runToProto), NextPageToken: next}, nil
}
