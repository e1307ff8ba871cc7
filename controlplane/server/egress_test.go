package server_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const mebibyte = 1 << 20

// inProcess makes a control plane with an agent db1 that has a backup, and serves
// it in a process of its own.
func inProcess(t *testing.T, size int64) (cp *servertest.ControlPlane, p *process, owner *grpc.ClientConn, a *agent, backup string) {
	t.Helper()
	cp = servertest.Start(t)
	ownerDir, agentDir := cp.Enroll(t, cp.InviteUser(t, "olga", fleet.RoleOwner)), cp.Enroll(t, cp.InviteAgent(t, "db1"))
	cp.Stop(t)
	p = startProcess(t, cp.DataDir)
	a = &agent{name: "db1", conn: p.dial(t, agentDir)}
	a.connect(t)
	return cp, p, p.dial(t, ownerDir), a, a.hasBackup(t, size)
}

// sends uploads so many chunks of 1 MiB for the job that is offered, and reads them
// as they leave.
func (a *agent) sends(t *testing.T, stream grpc.ServerStreamingClient[pgharborv1.DownloadResponse], chunks int) grpc.ClientStreamingClient[pgharborv1.UploadRequest, pgharborv1.UploadResponse] {
	t.Helper()
	up, content := a.upload(t, a.offer(t).GetJobId()), strings.Repeat("x", mebibyte)
	for range chunks {
		if err := up.Send(chunk(content)); err != nil {
			t.Fatal(err)
		}
		receive(t, stream, mebibyte)
	}
	return up
}

func receive(t *testing.T, stream grpc.ServerStreamingClient[pgharborv1.DownloadResponse], bytes int) {
	t.Helper()
	for bytes > 0 {
		part, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		bytes -= len(part.GetChunk())
	}
}

var announcedRange = regexp.MustCompile(`^bytes (\d+) to (\d+) of \d+ leave$`)

// announced returns the ends of the ranges of a download, in MiB, and how it ended.
func announced(t *testing.T, entries []entry) (ends []int, last entry) {
	t.Helper()
	for _, e := range entries {
		if e.Outcome != "ongoing" {
			continue
		}
		found := announcedRange.FindStringSubmatch(e.Detail)
		if found == nil {
			t.Fatalf("a range reads %q", e.Detail)
		}
		end, err := strconv.Atoi(found[2])
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end/mebibyte)
	}
	return ends, entries[len(entries)-1]
}

// Each range is in the audit log before its first byte leaves, and is as long as all that left
// before it.
func TestDownloadIsInTheAuditLogByRanges(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	const chunks = 20
	backup := a.hasBackup(t, chunks*mebibyte)
	stream, _ := download(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup})
	up := a.sends(t, stream, chunks)
	if _, err := up.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	if got, err := rest(stream); got != "" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	all := auditLog(t, cp, "backup.download")
	ends, last := announced(t, all)
	if !slices.Equal(ends, []int{2, 4, 8, 16, 20}) || last.Outcome != "succeeded" || !strings.Contains(all[0].Detail, fmt.Sprintf("up to byte %d first", mebibyte)) {
		t.Errorf("the audit log: %+v", all)
	}
}

func TestDownloadThatIsAbortedShowsHowMuchLeft(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 100*mebibyte)
	owner := cp.User(t, "olga", fleet.RoleOwner)
	stream, _ := download(t, owner, &pgharborv1.DownloadRequest{BackupId: backup})
	a.sends(t, stream, 5)
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}
	endOfAuditLog(t, cp, "backup.download")
	ends, last := announced(t, auditLog(t, cp, "backup.download"))
	if ends[len(ends)-1] != 8 || !strings.Contains(last.Detail, fmt.Sprintf("bytes 0 to %d of %d left", 5*mebibyte, 100*mebibyte)) {
		t.Errorf("ranges up to %v MiB, and it ends with %+v", ends, last)
	}
}

// A control plane that is killed can't say how a download ended. What it wrote before the bytes
// left is there anyway, and the next one ends the entry.
func TestControlPlaneThatIsKilledShowsHowMuchLeft(t *testing.T) {
	cp, p, owner, a, backup := inProcess(t, 100*mebibyte)
	stream, _ := download(t, owner, &pgharborv1.DownloadRequest{BackupId: backup, Reason: "ticket 7"})
	a.sends(t, stream, 5)
	p.kill(t)
	cp.Run(t)
	ends, last := announced(t, auditLog(t, cp, "backup.download"))
	want := fmt.Sprintf("the control plane stopped in the middle of it, after it wrote: bytes %d to %d of %d leave", 4*mebibyte, 8*mebibyte, 100*mebibyte)
	if !slices.Equal(ends, []int{2, 4, 8}) || last.Outcome != "failed" || last.Detail != want || last.Reason != "ticket 7" {
		t.Errorf("ranges up to %v MiB, and it ends with %+v", ends, last)
	}
}

// What can't be announced does not leave.
func TestDownloadStopsWhereTheDiskIsFull(t *testing.T) {
	_, p, owner, a, backup := inProcess(t, 100*mebibyte)
	stream, _ := download(t, owner, &pgharborv1.DownloadRequest{BackupId: backup})
	up := a.sends(t, stream, 3) // of the 4 that are announced
	p.fileSizes(t, 0)
	for range 5 {
		if err := up.Send(chunk(strings.Repeat("x", mebibyte))); err != nil {
			break // it has ended
		}
	}
	got, err := rest(stream)
	if len(got) != mebibyte || status.Code(err) != codes.Internal {
		t.Errorf("%d bytes left, then %v", len(got), err)
	}
}
