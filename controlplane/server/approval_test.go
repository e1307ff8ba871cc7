package server_test

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// waitsFor wants a call to wait for an approval, and returns the approval's id.
func waitsFor(t *testing.T, err error) string {
	t.Helper()
	if status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("got %v, want a request that waits for an approval", err)
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetMetadata()["approval"] != "" {
			id := info.GetMetadata()["approval"]
			if !strings.Contains(info.GetMetadata()["hint"], "pgharbor approvals approve "+id) {
				t.Errorf("the hint is %q", info.GetMetadata()["hint"])
			}
			return id
		}
	}
	t.Fatalf("%v names no approval", err)
	return ""
}

func setPolicy(t *testing.T, conn *grpc.ClientConn, request *pgharborv1.SetPolicyRequest) {
	t.Helper()
	if _, err := pgharborv1.NewPolicyServiceClient(conn).SetPolicy(bounded(t), request); err != nil {
		t.Fatal(err)
	}
}

func approve(t *testing.T, conn *grpc.ClientConn, id string) error {
	t.Helper()
	_, err := pgharborv1.NewApprovalServiceClient(conn).Approve(bounded(t), &pgharborv1.ApproveRequest{Id: id})
	return err
}

// tryDownload asks for a backup and returns how that was answered: nil once the
// header is there.
func tryDownload(t *testing.T, conn *grpc.ClientConn, request *pgharborv1.DownloadRequest) error {
	t.Helper()
	stream, err := pgharborv1.NewTransferServiceClient(conn).Download(bounded(t), request)
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func TestDownloadWaitsForAnotherPerson(t *testing.T) {
	cp := servertest.Start(t)
	a, owner, bob := connectAgent(t, cp, "prod-1"), cp.Owner(t), cp.User(t, "bob", fleet.RoleOwner)
	backup := a.hasBackup(t, 4)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"download"}})

	request := &pgharborv1.DownloadRequest{BackupId: backup, Reason: "ticket 7"}
	id := waitsFor(t, tryDownload(t, owner, request))
	if again := waitsFor(t, tryDownload(t, owner, request)); again != id {
		t.Errorf("asked again, it waits for %s, not %s", again, id)
	}
	if err := approve(t, owner, id); status.Code(err) != codes.PermissionDenied {
		t.Errorf("approved by oneself: %v", err)
	}
	if err := approve(t, bob, id); err != nil {
		t.Fatal(err)
	}
	stream, _ := download(t, owner, request)
	up := a.upload(t, a.offer(t).GetJobId())
	if err := up.Send(chunk("good")); err != nil {
		t.Fatal(err)
	}
	if _, err := up.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	if got, err := rest(stream); got != "good" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	if next := waitsFor(t, tryDownload(t, owner, request)); next == id {
		t.Error("the approval was good for a second download")
	}
}
