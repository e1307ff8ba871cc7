package server_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// rest reads a download to its end.
func rest(stream grpc.ServerStreamingClient[pgharborv1.DownloadResponse]) (string, error) {
	var all strings.Builder
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all.String(), nil
		}
		if err != nil {
			return all.String(), err
		}
		all.Write(part.GetChunk())
	}
}

func TestDownloadFromAnOffset(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	const file = "0123456789"
	backup := a.hasBackup(t, int64(len(file)))
	stream, header := download(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup, Offset: 4, Reason: "ticket 7"})
	if header.GetSizeBytes() != 10 || header.GetFilename() != "backup-2026-01-02-03-04-05.sql.enc" || header.GetSha256() != strings.Repeat("0", 64) {
		t.Errorf("header %v", header)
	}
	offer := a.offer(t)
	if offer.GetSend().GetBackupId() != backup || offer.GetSend().GetOffset() != 4 {
		t.Fatalf("offered %v", offer)
	}
	up := a.upload(t, offer.GetJobId())
	for _, part := range []string{file[4:7], file[7:]} {
		if err := up.Send(chunk(part)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := up.CloseAndRecv(); err != nil || got.GetReceivedBytes() != 6 {
		t.Errorf("upload: %v, %v", got, err)
	}
	if got, err := rest(stream); got != file[4:] || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	begun := entry{"user:owner", "backup.download", "db1", backup, "ticket 7", "started", "from byte 4 of 10, up to byte 10 first"}
	ended := begun
	ended.Outcome, ended.Detail = "succeeded", "bytes 4 to 10 of 10 left, sha256 "+strings.Repeat("0", 64)
	if diff := cmp.Diff([]entry{begun, ended}, auditLog(t, cp, "backup.download")); diff != "" {
		t.Errorf("the audit log: %s", diff)
	}
}

// What is less than the whole file is never a finished download, and the audit log reports how much of
// it left.
func TestDownloadThatIsCutShort(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 10)
	for _, tt := range []struct {
		name string
		send func(t *testing.T, job string)
		code codes.Code
		text string
	}{
		{"the agent ends early", func(t *testing.T, job string) {
			up := a.upload(t, job)
			if err := up.Send(chunk("0123")); err != nil {
				t.Fatal(err)
			}
			if _, err := up.CloseAndRecv(); err != nil {
				t.Error(err)
			}
		}, codes.DataLoss, "4 of 10 bytes"},
		{"the agent sends too much", func(t *testing.T, job string) {
			up := a.upload(t, job)
			if err := up.Send(chunk("0123456789ab")); err != nil {
				t.Fatal(err)
			}
			_, _ = up.CloseAndRecv()
		}, codes.DataLoss, "12 of 10 bytes"},
		{"the agent says why it can't", func(t *testing.T, job string) {
			a.finishes(t, job, "failed", "integrity", "its hash is not the manifest's")
		}, codes.DataLoss, "its hash is not the manifest's"},
		{"the agent no longer has it", func(t *testing.T, job string) {
			a.finishes(t, job, "failed", "not-found", "there is no such file")
		}, codes.NotFound, "there is no such file"},
		{"the agent claims to have sent it", func(t *testing.T, job string) {
			a.finishes(t, job, "succeeded", "", "")
		}, codes.DataLoss, "sent nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stream, _ := download(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup})
			tt.send(t, a.offer(t).GetJobId())
			_, err := rest(stream)
			if status.Code(err) != tt.code || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("got %v, want %s with %q", err, tt.code, tt.text)
			}
			entries := auditLog(t, cp, "backup.download")
			if last := entries[len(entries)-1]; last.Outcome != "failed" || !strings.Contains(last.Detail, tt.text) {
				t.Errorf("the audit log ends with %+v", last)
			}
		})
	}
}

// An agent that dies while it sends is not the same as a person who hangs up.
func TestDownloadWhoseAgentDies(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 10)
	stream, _ := download(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup})
	up := a.upload(t, a.offer(t).GetJobId())
	if err := up.Send(chunk("0123")); err != nil {
		t.Fatal(err)
	}
	if part, err := stream.Recv(); err != nil || string(part.GetChunk()) != "0123" {
		t.Fatalf("got %v, %v", part, err)
	}
	if err := a.conn.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := rest(stream); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want %s", err, codes.Unavailable)
	}
}

func TestDownloadThatMakesNoSense(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 10)
	for _, tt := range []struct {
		name    string
		request *pgharborv1.DownloadRequest
		code    codes.Code
	}{
		{"unknown", &pgharborv1.DownloadRequest{BackupId: "no-such-backup"}, codes.NotFound},
		{"behind the end", &pgharborv1.DownloadRequest{BackupId: backup, Offset: 11}, codes.InvalidArgument},
		{"before the start", &pgharborv1.DownloadRequest{BackupId: backup, Offset: -1}, codes.InvalidArgument},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stream, err := pgharborv1.NewTransferServiceClient(cp.Owner(t)).Download(bounded(t), tt.request)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := rest(stream); status.Code(err) != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
}

// The bytes of one instance are sent by its agent alone.
func TestUploadOfAnotherInstanceIsRefused(t *testing.T) {
	cp := servertest.Start(t)
	a, other := connectAgent(t, cp, "db1"), connectAgent(t, cp, "db2")
	backup := a.hasBackup(t, 4)
	stream, _ := download(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup})
	job := a.offer(t).GetJobId()

	if _, err := other.upload(t, job).CloseAndRecv(); status.Code(err) != codes.NotFound {
		t.Errorf("another instance's upload: %v, want %s", err, codes.NotFound)
	}
	up := a.upload(t, job)
	if err := up.Send(chunk("good")); err != nil {
		t.Fatal(err)
	}
	if part, err := stream.Recv(); err != nil || string(part.GetChunk()) != "good" {
		t.Fatalf("got %v, %v", part, err)
	}
	if _, err := a.upload(t, job).CloseAndRecv(); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a second upload: %v, want %s", err, codes.FailedPrecondition)
	}
	if _, err := up.CloseAndRecv(); err != nil {
		t.Error(err)
	}
	if got, err := rest(stream); got != "" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
