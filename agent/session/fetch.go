package session

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/internal/chunk"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Fetcher brings backups of other instances over a connection, each on a stream
// of its own. It implements job.Fetcher.
type Fetcher struct{ Conn grpc.ClientConnInterface }

// Fetch implements job.Fetcher. Its errors are for people, as Upload's are.
func (f Fetcher) Fetch(ctx context.Context, transferID string, to job.Receiver) error {
	err := f.fetch(ctx, transferID, to)
	if said, ok := status.FromError(err); ok && err != nil {
		if said.Code() == codes.DataLoss { // known by now; the job is to say so too
			return fmt.Errorf("%w: %s", backup.ErrDamaged, said.Message())
		}
		return errors.New(said.Message())
	}
	return err
}

func (f Fetcher) fetch(ctx context.Context, transferID string, to job.Receiver) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a stream that is given up must not be left open
	request := &pgharborv1.FetchRequest{TransferId: transferID}
	stream, err := pgharborv1.NewTransferServiceClient(f.Conn).Fetch(ctx, request, grpc.ForceCodecV2(chunk.NewCodec()))
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetHeader() == nil {
		return errors.New("the control plane does not begin with the manifest")
	}
	if err := to.Begin(first.GetHeader().GetManifest()); err != nil {
		return err
	}
	frame := chunk.Frame{Message: &pgharborv1.FetchResponse{}}
	for {
		err := stream.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = frame.Chunk.WriteTo(to)
		frame.Chunk.Free()
		if err != nil {
			return fmt.Errorf("what was fetched can't be kept: %w", err)
		}
	}
}

// sourceFrom is where a restore gets its backup from; nil if the agent has it.
func sourceFrom(source *pgharborv1.RestoreSource, from job.Fetcher) *job.Source {
	if source == nil {
		return nil
	}
	return &job.Source{Instance: source.GetInstance(), TransferID: source.GetTransferId(), Key: source.GetSigningKey(), From: from}
}
