package session

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/internal/chunk"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const (
	chunkBytes = 1 << 20 // of which gRPC's pool has buffers
	// maxManifest is less than what gRPC takes in one message, which is 4 MiB: some 40,000 tables.
	maxManifest = 4<<20 - 64<<10
)

// Uploader sends files over a connection, each on a stream of its own, so that a
// slow reader slows only itself. It implements job.Uploader.
type Uploader struct{ Conn grpc.ClientConnInterface }

// Upload implements job.Uploader. Its errors are for people: of a status only
// what it says.
func (u Uploader) Upload(ctx context.Context, transferID string, manifest []byte, content io.Reader) error {
	if len(manifest) > maxManifest {
		return fmt.Errorf("the manifest has %d bytes, and at most %d can be sent", len(manifest), maxManifest)
	}
	err := u.upload(ctx, &pgharborv1.UploadHeader{TransferId: transferID, Manifest: manifest}, content)
	if said, ok := status.FromError(err); ok && err != nil {
		return errors.New(said.Message())
	}
	return err
}

func (u Uploader) upload(ctx context.Context, about *pgharborv1.UploadHeader, content io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a stream that is given up must not be left open
	stream, err := pgharborv1.NewTransferServiceClient(u.Conn).Upload(ctx, grpc.ForceCodecV2(chunk.NewCodec()))
	if err != nil {
		return err
	}
	header := &pgharborv1.UploadRequest{Part: &pgharborv1.UploadRequest_Header{Header: about}}
	if err := uploaded(stream, stream.Send(header)); err != nil {
		return err
	}
	var sent int64
	for {
		next, readErr := readChunk(content)
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			return readErr
		}
		size := next.Len()
		if size > 0 {
			if err := uploaded(stream, stream.SendMsg(&next)); err != nil {
				return err
			}
			sent += int64(size)
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

// readChunk reads into a buffer that gRPC gives back to its pool once it has been
// sent. Together with the last chunk, which may be empty, comes io.EOF.
func readChunk(content io.Reader) (chunk.Chunk, error) {
	pool := mem.DefaultBufferPool()
	buffer := pool.Get(chunkBytes)
	n, err := io.ReadFull(content, *buffer)
	*buffer = (*buffer)[:n]
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return chunk.New(mem.NewBuffer(buffer, pool)), err
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
