package api

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	"github.com/pgharbor/pgharbor/controlplane/transfer"
	"github.com/pgharbor/pgharbor/internal/chunk"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type transferService struct {
	pgharborv1.UnimplementedTransferServiceServer
	*API
}

// Upload passes an agent's bytes to the person or the agent who waits for them.
func (s *transferService) Upload(stream grpc.ClientStreamingServer[pgharborv1.UploadRequest, pgharborv1.UploadResponse]) error {
	ctx := stream.Context()
	first, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if first.GetHeader() == nil {
		return fleet.NewProblem(fleet.ErrInvalid, "an upload begins with its header")
	}
	instance, id := guard.CallerFrom(ctx).Name, first.GetHeader().GetTransferId()
	to, err := s.Transfers.Claim(id, instance)
	if err != nil {
		return err
	}
	to.Announce(first.GetHeader().GetManifest())
	received, err := s.upload(ctx, stream, to, instance, id)
	if err != nil {
		// A receiver that takes the sender's Canceled for its own would think
		// that it hung up itself.
		to.Finish(fleet.NewProblem(fleet.ErrUnreachable, "the agent of %s broke off: %s", instance, status.Convert(err).Message()))
		return err
	}
	to.Finish(nil)
	return stream.SendAndClose(&pgharborv1.UploadResponse{ReceivedBytes: received})
}

// upload notes that the agent has begun the job, so that it does not count as
// lost however long the file takes, and passes the bytes on.
func (s *transferService) upload(ctx context.Context, from grpc.ClientStreamingServer[pgharborv1.UploadRequest, pgharborv1.UploadResponse],
	to *transfer.Transfer, instance, id string,
) (int64, error) {
	if err := s.Catalog.Jobs.RecordProgress(ctx, instance, id, fleet.Progress{Phase: "send"}, s.Now().UTC()); err != nil {
		return 0, err
	}
	return pump(ctx, from, to)
}

func pump(ctx context.Context, from grpc.ClientStreamingServer[pgharborv1.UploadRequest, pgharborv1.UploadResponse], to *transfer.Transfer) (int64, error) {
	var received int64
	frame := chunk.Frame{Message: &pgharborv1.UploadRequest{}}
	for {
		err := from.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return received, nil
		}
		if err != nil {
			return received, err
		}
		size := frame.Chunk.Len()
		if err := to.Send(ctx, frame.Chunk); err != nil {
			return received, err
		}
		received += int64(size)
	}
}

// Download notifies the agent that has the file and passes on what it sends. The audit log reports how
// much of it left, also if it ended early.
func (s *transferService) Download(request *pgharborv1.DownloadRequest, stream grpc.ServerStreamingServer[pgharborv1.DownloadResponse]) (err error) {
	ctx := stream.Context()
	if err := checkTexts(request.GetReason(), ""); err != nil {
		return err
	}
	backup, err := s.presentBackup(ctx, request.GetBackupId())
	if err != nil {
		return err
	}
	if request.GetOffset() < 0 || request.GetOffset() > backup.SizeBytes {
		return fleet.NewProblem(fleet.ErrInvalid, "the offset %d is outside of the file's %d bytes", request.GetOffset(), backup.SizeBytes)
	}
	if err := s.Sessions.CheckReachable(ctx, backup.Instance); err != nil {
		return err
	}
	caller := guard.CallerFrom(ctx)
	endUse, err := s.Approvals.PassUntil(ctx, guard.CallerFrom(ctx), fleet.GuardedRequest{
		Action: fleet.ActionDownload, Instance: backup.Instance, Target: backup.ID, Reason: request.GetReason(),
		Details: []fleet.Detail{{Name: "database", Value: backup.Database}, {Name: "file", Value: backup.Manifest.Filename}},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endUse(err)) }()
	announced := firstAnnounced(request.GetOffset(), backup.SizeBytes)
	sequence, err := s.Audit.Begin(ctx, audit.Action{
		Actor: caller.String(), Action: string(fleet.PermissionBackupDownload), Instance: backup.Instance,
		Target: backup.ID, Reason: request.GetReason(), Detail: fmt.Sprintf("from byte %d of %d, up to byte %d first", request.GetOffset(), backup.SizeBytes, announced),
	})
	if err != nil {
		return err
	}
	sent, err := s.relay(ctx, delivery{
		backup: backup, requestedBy: caller.String(), to: stream,
		egress: &egress{auditLog: s.Audit, sequence: sequence, from: request.GetOffset(), size: backup.SizeBytes, announced: announced},
		header: func(context.Context, *transfer.Transfer) error {
			return stream.Send(&pgharborv1.DownloadResponse{Part: &pgharborv1.DownloadResponse_Header{Header: &pgharborv1.DownloadHeader{
				Filename: backup.Manifest.Filename, SizeBytes: backup.SizeBytes, Sha256: backup.Manifest.SHA256,
			}}})
		},
	})
	detail := fmt.Sprintf("bytes %d to %d of %d left, sha256 %s", request.GetOffset(), request.GetOffset()+sent, backup.SizeBytes, backup.Manifest.SHA256)
	return errors.Join(err, s.Audit.End(ctx, sequence, detail, err))
}

// delivery is the way of one backup from the agent that has it to a receiver.
type delivery struct {
	backup      fleet.Backup
	egress      *egress // the bytes to deliver, of the file and what follows it
	whole       bool    // as SendSpec has it
	requestedBy string
	header      func(ctx context.Context, from *transfer.Transfer) error // sends it
	to          interface{ SendMsg(message any) error }
}

// relay returns how many bytes were handed to the receiver's stream.
func (s *transferService) relay(ctx context.Context, d delivery) (sent int64, err error) {
	id := fleet.NewID()
	from := s.Transfers.Open(id, d.backup.Instance)
	defer from.Close()
	ended, leave := s.Notifications.Listen(session.JobChannel(id))
	defer leave()
	_, err = s.Sessions.Submit(ctx, fleet.Job{
		ID: id, Kind: fleet.JobSend, Instance: d.backup.Instance, RequestedBy: d.requestedBy,
		Spec: fleet.JobSpec{BackupID: d.backup.ID, Offset: d.egress.from, Whole: d.whole},
	})
	if err != nil {
		return 0, err
	}
	defer func() { s.endJob(ctx, d.backup.Instance, id, err) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.handlers.Go(func() {
		if err := s.jobFailure(ctx, id, from, ended); err != nil {
			cancel(err)
		}
	})
	if err := d.header(ctx, from); err != nil {
		return 0, err
	}
	for {
		content, err := from.Receive(ctx)
		if errors.Is(err, io.EOF) {
			return sent, d.complete(d.egress.from + sent)
		}
		if err != nil {
			return sent, err
		}
		size := int64(content.Len())
		end := d.egress.from + sent + size
		if end > d.egress.size {
			content.Free()
			return sent, d.complete(end)
		}
		if err := d.egress.upTo(ctx, end); err != nil {
			content.Free()
			return sent, err
		}
		if err := d.to.SendMsg(&content); err != nil {
			return sent, err
		}
		sent += size
	}
}

// endJob ends a send job with its download: nobody waits for it any longer. One
// that the agent has ended stays as it is.
func (s *transferService) endJob(ctx context.Context, instance, id string, downloadErr error) {
	now := s.Now().UTC()
	result := fleet.JobResult{State: fleet.JobSucceeded, FinishedAt: now}
	if downloadErr != nil {
		result.State, result.Error = fleet.JobCancelled, "the download has ended early"
	}
	if _, err := s.Catalog.Jobs.Finish(context.WithoutCancel(ctx), instance, id, result, now); err != nil {
		s.Log.Error("a send job could not be ended", "job", id, "error", err)
	}
}

// complete refuses to call a file whole that is not.
func (d delivery) complete(end int64) error {
	if end != d.egress.size {
		return fleet.NewProblem(fleet.ErrIntegrity, "the agent of %s sent %d of %d bytes of backup %s", d.backup.Instance, end, d.egress.size, d.backup.ID).
			WithHint("the file may be damaged: pgharbor show %s", d.backup.ID)
	}
	return nil
}

// jobFailure waits until the send job has failed and returns why; nil when ctx
// ends first. An agent that can't open the file says so here, not in an Upload;
// one that says it has sent the file without an Upload has failed too.
func (s *transferService) jobFailure(ctx context.Context, id string, from *transfer.Transfer, changed <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		job, err := s.Catalog.Jobs.Get(ctx, id)
		switch {
		case err != nil:
			return err
		case job.State == fleet.JobLost:
			return fleet.NewProblem(fleet.ErrUnreachable, "%s", job.Error)
		case job.State.Final() && job.State != fleet.JobSucceeded:
			return fleet.NewProblem(causeOf(job.Failure), "the agent of %s could not send backup %s: %s", job.Instance, job.Spec.BackupID, job.Error)
		case job.State.Final() && !from.Claimed():
			return fleet.NewProblem(fleet.ErrIntegrity, "the agent of %s calls backup %s sent, and sent nothing", job.Instance, job.Spec.BackupID)
		case job.State.Final():
			return nil
		}
	}
}
