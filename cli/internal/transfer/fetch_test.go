package transfer

import (
	"context"
	"crypto/sha256"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// sender sends one file, and counts how often it was asked.
type sender struct {
	pgharborv1.UnimplementedTransferServiceServer
	backup *pgharborv1.Backup
	stored []byte
	asked  int
}

func (s *sender) Download(_ *pgharborv1.DownloadRequest, stream grpc.ServerStreamingServer[pgharborv1.DownloadResponse]) error {
	s.asked++
	header := &pgharborv1.DownloadHeader{SizeBytes: s.backup.GetSizeBytes(), Sha256: s.backup.GetSha256()}
	if err := stream.Send(&pgharborv1.DownloadResponse{Part: &pgharborv1.DownloadResponse_Header{Header: header}}); err != nil {
		return err
	}
	return stream.Send(&pgharborv1.DownloadResponse{Part: &pgharborv1.DownloadResponse_Chunk{Chunk: s.stored}})
}

// serve returns a connection to the sender, which ends with the test.
func serve(t *testing.T, s *sender) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, done := grpc.NewServer(), make(chan struct{})
	pgharborv1.RegisterTransferServiceServer(server, s)
	go func() { defer close(done); _ = server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); server.Stop(); <-done })
	return conn
}

func TestAFullDiskIsNoCut(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal("the test needs /dev/full: ", err)
	}
	s := &sender{stored: make([]byte, 1<<10), backup: &pgharborv1.Backup{Id: "id1", SizeBytes: 1 << 10, Sha256: strings.Repeat("0", 64)}}
	to := &Part{path: filepath.Join(t.TempDir(), "x"), file: full, hash: sha256.New()}
	defer to.Close()
	d := Download{Conn: serve(t, s), Backup: s.backup, Session: &session.Session{
		Out:   &output.Printer{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now},
		Pause: func(ctx context.Context, _ time.Duration) bool { return ctx.Err() == nil },
	}}
	if err := d.Fetch(t.Context(), to); err == nil || !strings.Contains(err.Error(), "no space left") || s.asked != 1 {
		t.Errorf("%v after %d attempts", err, s.asked)
	}
}
