package session

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const chunkBytes = 1 << 20

// Uploader sends files over a connection, each on a stream of its own, so that a
// slow reader slows only itself. It implements job.Uploader.
type Uploader struct{ Conn grpc.ClientConnInterface }

// Upload implements job.Uploader. Its errors are for people: of a status only
// what it says.
func (u Uploader) Upload(ctx context.Context, transferID string, content io.Reader) error {
	err := u.upload(ctx, transferID, content)
	if said, ok := status.FromError(err); ok && err != nil {
		return errors.New(said.Message())
	}
	return err
}

func (u Uploader) upload(ctx context.Context, transferID string, content io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a stream that is given up must not be left open
	stream, err := pgharborv1.NewTransferServiceClient(u.Conn).Upload(ctx)
	if err != nil {
		return err
	}
	header := &pgharborv1.UploadRequest{Part: &pgharborv1.UploadRequest_Header{Header: &pgharborv1.UploadHeader{TransferId: transferID}}}
	if err := uploaded(stream, stream.Send(header)); err != nil {
		return err
	}
	var sent int64
	buffer := make([]byte, chunkBytes)
	for {
		n, readErr := io.ReadFull(content, buffer)
		if readErr != nil && !errors.Is(readErr, io.EOF) && !errors.Is(readErr, io.ErrUnexpectedEOF) {
			return readErr
		}
		if n > 0 {
			// Send has encoded the chunk when it returns: the buffer is free again.
			chunk := &pgharborv1.UploadRequest{Part: &pgharborv1.UploadRequest_Chunk{Chunk: buffer[:n]}}
			if err := uploaded(stream, stream.Send(chunk)); err != nil {
				return err
			}
			sent += int64(n)
		}
		if readErr != nil {
			break
		}
	}
	reply, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if reply.GetReceivedBytes() != sent {
		return errors.New("the control plane has not received all that was sent")
	}
	return nil
}

// uploaded returns why a stream broke, where Send says no more than io.EOF.
func uploaded(stream grpc.ClientStreamingClient[pgharborv1.UploadRequest, pgharborv1.UploadResponse], err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	if _, reason := stream.CloseAndRecv(); reason != nil {
		return reason
	}
	return errors.New("the control plane ended the transfer early")
}
