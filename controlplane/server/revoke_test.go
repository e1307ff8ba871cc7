package server_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func revokeUser(t *testing.T, cp *servertest.ControlPlane, name string) {
	t.Helper()
	_, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).RevokeUser(bounded(t), &pgharborv1.RevokeUserRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
}

func revokeAgent(t *testing.T, cp *servertest.ControlPlane, name string) {
	t.Helper()
	_, err := pgharborv1.NewAgentServiceClient(cp.Owner(t)).RevokeAgent(bounded(t), &pgharborv1.RevokeAgentRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
}

func startBackup(t *testing.T, conn *grpc.ClientConn, instance string) *pgharborv1.Job {
	t.Helper()
	started, err := pgharborv1.NewBackupServiceClient(conn).StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	return started.GetJob()
}

func TestRevocationEndsASession(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	revokeAgent(t, cp, "db1")
	if err := a.ended(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the session ended with %v", err)
	}
	// The connection is open, and useless.
	_, err := pgharborv1.NewIdentityServiceClient(a.conn).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a call over the old connection: %v", err)
	}
	_, err = pgharborv1.NewBackupServiceClient(cp.Owner(t)).StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: "db1"})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a backup of a revoked agent: %v", err)
	}
}

// An instance has one agent: a new enrolment takes over from the one before.
func TestAnotherEnrolmentEndsTheEarlierSession(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	connectAgent(t, cp, "db1")
	// It ends because it was superseded, or because its certificate is void.
	if err := a.ended(); status.Code(err) != codes.Unauthenticated && status.Code(err) != codes.Aborted {
		t.Errorf("the session ended with %v", err)
	}
	_, err := pgharborv1.NewIdentityServiceClient(a.conn).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a call with the earlier certificate: %v", err)
	}
}

func TestRevocationEndsAWatch(t *testing.T) {
	cp := servertest.Start(t)
	connectAgent(t, cp, "db1")
	job := startBackup(t, cp.Owner(t), "db1")
	watch, err := pgharborv1.NewJobServiceClient(cp.User(t, "vera", fleet.RoleViewer)).WatchJob(bounded(t), &pgharborv1.WatchJobRequest{Id: job.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	revokeUser(t, cp, "vera")
	for err == nil { // the job may have changed before
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("the watch ended with %v", err)
	}
}

func TestRevocationEndsADownload(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 1<<40)
	stream, _ := download(t, cp.User(t, "anna", fleet.RoleOwner), &pgharborv1.DownloadRequest{BackupId: backup})
	up := a.upload(t, a.offer(t).GetJobId())
	if err := up.Send(chunk("first")); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	revokeUser(t, cp, "anna")
	if got, err := rest(stream); got != "" || status.Code(err) != codes.Unauthenticated {
		t.Errorf("after it came %q, %v", got, err)
	}
	for sent := error(nil); sent == nil; {
		sent = up.Send(chunk("more"))
	}
	if _, err := up.CloseAndRecv(); status.Code(err) != codes.Canceled {
		t.Errorf("the sender was told %v", err)
	}
	if last := endOfAuditLog(t, cp, "backup.download"); last.Outcome != "failed" || !strings.HasPrefix(last.Detail, "bytes 0 to 5 of") {
		t.Errorf("the audit log ends with %+v", last)
	}
}

// A reader that does not read can't hold a revoked stream open either.
func TestRevocationEndsADownloadThatStalls(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 1<<40)
	download(t, cp.User(t, "anna", fleet.RoleOwner), &pgharborv1.DownloadRequest{BackupId: backup})
	up := a.upload(t, a.offer(t).GetJobId())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		block := chunk(strings.Repeat("x", 1<<20))
		for up.Send(block) == nil {
		}
	}()
	revokeUser(t, cp, "anna")
	select {
	case <-ended:
	case <-bounded(t).Done():
		t.Fatal("the sender still sends")
	}
	if last := endOfAuditLog(t, cp, "backup.download"); last.Outcome != "failed" {
		t.Errorf("the audit log ends with %+v", last)
	}
}

// endOfAuditLog waits until an action's newest entry completes it, which is a
// moment after the caller was told.
func endOfAuditLog(t *testing.T, cp *servertest.ControlPlane, action string) entry {
	t.Helper()
	owner, ticker := cp.Owner(t), time.Tick(10*time.Millisecond)
	for ctx := bounded(t); ctx.Err() == nil; <-ticker {
		all := auditLogBy(t, owner, action)
		if last := all[len(all)-1]; last.Outcome != chain.OutcomeStarted && last.Outcome != chain.OutcomeOngoing {
			return last
		}
	}
	t.Fatalf("the audit log of %s has no end", action)
	return entry{}
}

func TestLastOwnerCannotBeRevoked(t *testing.T) {
	cp := servertest.Start(t)
	cp.InviteUser(t, "anna", fleet.RoleOwner) // who has not logged in does not count
	users := pgharborv1.NewUserServiceClient(cp.Owner(t))
	_, err := users.RevokeUser(bounded(t), &pgharborv1.RevokeUserRequest{Name: servertest.OwnerName})
	if status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("got %v", err)
	}
	if _, err := users.ListUsers(bounded(t), &pgharborv1.ListUsersRequest{}); err != nil {
		t.Errorf("the owner was locked out: %v", err)
	}
}

// If policies ask for a second person, anyone who leaves one alone is told.
func TestWhoLeavesOneOwnerAloneIsTold(t *testing.T) {
	t.Parallel()
	_, _, _, bob := guarded(t)
	revoked, err := pgharborv1.NewUserServiceClient(bob).RevokeUser(bounded(t), &pgharborv1.RevokeUserRequest{Name: "bob"})
	if err != nil || len(revoked.GetWarnings()) != 1 || !strings.Contains(revoked.GetWarnings()[0], "recover-owner") {
		t.Errorf("%v, %v", revoked, err)
	}
}
