package session

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/words"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// WatchJob follows a job to its end and shows its progress. A stream that breaks is opened again; the job does not
// depend on it.
func (s *Session) WatchJob(ctx context.Context, conn *grpc.ClientConn, id string) (*pgharborv1.Job, error) {
	progress := s.Out.Progress()
	defer progress.Clear()
	jobs := pgharborv1.NewJobServiceClient(conn)
	patience := s.Patience(WatchPatience)
	for {
		job, err := watchOnce(ctx, jobs, id, func(job *pgharborv1.Job) {
			patience.Progressed()
			made := job.GetProgress()
			progress.SetTables(phaseOf(job), made.GetDoneBytes(), made.GetTotalBytes(), made.GetDoneObjects(), made.GetTotalObjects())
		})
		if err == nil {
			return job, nil
		}
		if err := patience.Wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

// watchOnce returns the job in its final state.
func watchOnce(ctx context.Context, jobs pgharborv1.JobServiceClient, id string, changed func(*pgharborv1.Job)) (*pgharborv1.Job, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := jobs.WatchJob(ctx, &pgharborv1.WatchJobRequest{Id: id})
	if err != nil {
		return nil, err
	}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, status.Error(codes.Unavailable, "the control plane stopped following the job before its end")
		}
		if err != nil {
			return nil, err
		}
		if job := response.GetJob(); words.Final(job.GetState()) {
			return job, nil
		}
		changed(response.GetJob())
	}
}

// phaseOf returns what a job is doing, in a word.
func phaseOf(job *pgharborv1.Job) string {
	if phase := job.GetProgress().GetPhase(); phase != "" {
		return phase
	}
	return job.GetState()
}

// StillRunning is the error of a person who stops waiting for work that goes on.
func (s *Session) StillRunning(err error, kind, next string) error {
	p := *s.Explain(err)
	p.Text += fmt.Sprintf(" (the %s goes on)", kind)
	if p.Code == exit.Failed || p.Code == exit.Unreachable {
		p.Hint = "see how it ends: " + next
	}
	return &p
}
