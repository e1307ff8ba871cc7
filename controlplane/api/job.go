package api

import (
	"context"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type jobService struct {
	pgharborv1.UnimplementedJobServiceServer
	*API
}

func (s *jobService) GetJob(ctx context.Context, request *pgharborv1.GetJobRequest) (*pgharborv1.GetJobResponse, error) {
	job, err := s.job(ctx, request.GetId())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.GetJobResponse{Job: job}, nil
}

// WatchJob listens before it reads, so that no change falls in between.
func (s *jobService) WatchJob(request *pgharborv1.WatchJobRequest, stream grpc.ServerStreamingServer[pgharborv1.WatchJobResponse]) error {
	changed, leave := s.Notifications.Listen(session.JobChannel(request.GetId()))
	defer leave()
	for {
		job, err := s.job(stream.Context(), request.GetId())
		if err != nil {
			return err
		}
		if err := stream.Send(&pgharborv1.WatchJobResponse{Job: job}); err != nil {
			return err
		}
		if fleet.JobState(job.GetState()).Final() {
			return nil
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return context.Cause(stream.Context())
		}
	}
}

func (s *jobService) job(ctx context.Context, id string) (*pgharborv1.Job, error) {
	job, err := s.Catalog.Jobs.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	runs, more, err := s.Catalog.Runs.OfJob(ctx, id)
	if err != nil {
		return nil, err
	}
	shown := jobToProto(job, runs)
	shown.MoreRuns = more
	return shown, nil
}
