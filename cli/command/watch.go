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
	"github.com/pgharbor/pgharbor/internal/shell"
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

// inFull says where the words are that stay on the host: those of the server, which may quote rows. It takes the id of a
// run, a job or a backup.
func inFull(instance, id string) string {
	return fmt.Sprintf("the server's own words are on the host of %s: pgharbor-agent runs %s", output.Name(instance), output.Name(id))
}

// jobEnd is the error of a job that did not succeed, nil for one that did.
func jobEnd(kind, id, instance, state, text, failure string) error {
	if state == "succeeded" {
		return nil
	}
	if text == "" {
		text = "no reason was given"
	}
	p := fail(exitFailed, "the %s %s: %s", kind, state, text)
	switch failure {
	case "integrity":
		p.code = exitIntegrity
		p.hint = shell.Command("nothing of it was used; another backup: pgharbor list --instance %s", instance)
	case "not-found":
		p.code = exitNotFound
	case "not-allowed":
		p.code = exitDenied
		p.hint = "what its host allows: pgharbor agents show " + output.Name(instance)
	case "unreachable":
		p.code = exitUnreachable
		p.hint = "see whether the agent is there: pgharbor agents list"
	case "passphrase":
		p.hint = "the agent needs the passphrase that the backup was sealed with, see BACKUP_OLD_PASSPHRASES_FILE"
	case "failed":
		p.hint = inFull(instance, id)
	case "exists":
		p.hint = "give another name with --to-database, and repeat it with --confirm; or add --replace, which keeps the old one"
	}
	return p
}

// stillRunning tells whoever stops waiting that the work goes on.
func (a *app) stillRunning(err error, kind, next string) error {
	p := *a.explain(err)
	p.text += fmt.Sprintf(" (the %s goes on)", kind)
	if p.code == exitFailed || p.code == exitUnreachable {
		p.hint = "see how it ends: " + next
	}
	return &p
}
