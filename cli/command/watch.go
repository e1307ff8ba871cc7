package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// watchJob follows a job to its end and shows its progress. A stream that breaks
// is opened again; the job does not depend on it.
func (a *app) watchJob(ctx context.Context, conn *grpc.ClientConn, id string) (*pgharborv1.Job, error) {
	progress := output.NewProgress(a.Stderr, a.Now)
	defer progress.Clear()
	jobs := pgharborv1.NewJobServiceClient(conn)
	patience := a.newPatience(watchPatience)
	for {
		job, err := watchOnce(ctx, jobs, id, func(job *pgharborv1.Job) {
			patience.progressed()
			made := job.GetProgress()
			progress.SetTables(phaseOf(job), made.GetDoneBytes(), made.GetTotalBytes(), made.GetDoneObjects(), made.GetTotalObjects())
		})
		if err == nil {
			return job, nil
		}
		if err := patience.wait(ctx, err); err != nil {
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
		if job := response.GetJob(); final(job.GetState()) {
			return job, nil
		}
		changed(response.GetJob())
	}
}

func final(state string) bool {
	switch state {
	case "succeeded", "failed", "cancelled", "lost":
		return true
	default:
		return false
	}
}

// phaseOf is what a job is doing, in a word.
func phaseOf(job *pgharborv1.Job) string {
	if phase := job.GetProgress().GetPhase(); phase != "" {
		return phase
	}
	return job.GetState()
}

// jobEnd is the error of a job that did not succeed, nil for one that did.
func jobEnd(kind, id, instance, state, text, failure string) error {
	if state == "succeeded" {
		return nil
	}
	if text == "" {
		text = "no reason was given"
	}
	p := exit.Fail(exit.OfFailure(failure), "the %s %s: %s", kind, state, text)
	p.Hint = nextStep(kind, failure, text, instance, id)
	return p
}

// stillRunning tells whoever stops waiting that the work goes on.
func (a *app) stillRunning(err error, kind, next string) error {
	p := *a.explain(err)
	p.Text += fmt.Sprintf(" (the %s goes on)", kind)
	if p.Code == exit.Failed || p.Code == exit.Unreachable {
		p.Hint = "see how it ends: " + next
	}
	return &p
}
