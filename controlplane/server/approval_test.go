package server_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// twoOwners is a control plane with an agent prod-1, its OWNER, and bob, who is
// another.
func twoOwners(t *testing.T, change ...func(*server.Config)) (cp *servertest.ControlPlane, a *agent, owner, bob *grpc.ClientConn) {
	t.Helper()
	cp = servertest.Start(t, change...)
	return cp, connectAgent(t, cp, "prod-1"), cp.Owner(t), cp.User(t, "bob", fleet.RoleOwner)
}

// guarded is twoOwners if a download from prod-* waits for another person.
func guarded(t *testing.T, change ...func(*server.Config)) (cp *servertest.ControlPlane, a *agent, owner, bob *grpc.ClientConn) {
	t.Helper()
	cp, a, owner, bob = twoOwners(t, change...)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"download"}})
	return cp, a, owner, bob
}

// handClock is a clock that moves when it is told to.
type handClock struct {
	mu sync.Mutex
	at time.Time
}

func newHandClock() *handClock { return &handClock{at: time.Now()} }

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *handClock) into(config *server.Config) { config.Now = c.now }

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
	_, err := pgharborv1.NewApprovalServiceClient(conn).Approve(bounded(t), &pgharborv1.ApproveRequest{Id: id, Comment: "as agreed"})
	return err
}

func mustApprove(t *testing.T, conn *grpc.ClientConn, id string) {
	t.Helper()
	if err := approve(t, conn, id); err != nil {
		t.Fatal(err)
	}
}

// stateOf returns the state of an approval, as somebody is shown it.
func stateOf(t *testing.T, conn *grpc.ClientConn, id string) string {
	t.Helper()
	got, err := pgharborv1.NewApprovalServiceClient(conn).GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return got.GetApproval().GetState()
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

// downloads wants a download to pass, and to bring what the agent sends.
func (a *agent) downloads(t *testing.T, conn *grpc.ClientConn, request *pgharborv1.DownloadRequest, content string) {
	t.Helper()
	stream, _ := download(t, conn, request)
	up := a.upload(t, a.offer(t).GetJobId())
	if err := up.Send(chunk(content)); err != nil {
		t.Fatal(err)
	}
	if _, err := up.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	if got, err := rest(stream); got != content || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestDownloadWaitsForAnotherPersonAndPassesOnce(t *testing.T) {
	cp, a, owner, bob := guarded(t)
	request := &pgharborv1.DownloadRequest{BackupId: a.hasBackup(t, 4), Reason: "ticket 7"}
	id := waitsFor(t, tryDownload(t, owner, request))
	if again := waitsFor(t, tryDownload(t, owner, request)); again != id {
		t.Errorf("asked again, it waits for %s, not %s", again, id)
	}
	shown, err := pgharborv1.NewApprovalServiceClient(bob).GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: id})
	if got := shown.GetApproval(); err != nil || got.GetAction() != "backup.download" || got.GetInstance() != "prod-1" ||
		got.GetTarget() != request.GetBackupId() || got.GetReason() != "ticket 7" || got.GetRequestedBy() != "owner" || got.GetState() != "pending" {
		t.Errorf("who decides is shown %v, %v", shown, err)
	}
	mustApprove(t, bob, id)
	a.downloads(t, owner, request, "good")
	if state := stateOf(t, owner, id); state != "used" {
		t.Errorf("after its use it is %s", state)
	}
	// A replay is a request of its own.
	if next := waitsFor(t, tryDownload(t, owner, request)); next == id {
		t.Error("the approval was good for a second download")
	}

	summary := "backup.download of " + request.GetBackupId() + " on prod-1 with database=shop, file=backup-2026-01-02-03-04-05.sql.enc"
	for action, want := range map[string]entry{
		"approval.ask":     {"user:owner", "approval.ask", "prod-1", id, "ticket 7", "started", summary},
		"approval.approve": {"user:bob", "approval.approve", "prod-1", id, "ticket 7", "started", summary + ": as agreed"},
		"approval.use":     {"user:owner", "approval.use", "prod-1", id, "ticket 7", "started", "decided by user:bob: " + summary},
	} {
		got := auditLog(t, cp, action)
		if diff := cmp.Diff(want, got[0]); diff != "" || got[1].Outcome != "succeeded" {
			t.Errorf("the audit log of %s: %s, then %+v", action, diff, got[1])
		}
	}
}

// A policy is about what its glob matches, and about what it names.
func TestWhatNoPolicyNamesPasses(t *testing.T) {
	cp, a, owner, _ := twoOwners(t)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-?", RequireApproval: []string{"release"}})
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-1?", RequireApproval: []string{"download"}})
	a.downloads(t, owner, &pgharborv1.DownloadRequest{BackupId: a.hasBackup(t, 4)}, "good")
	other := connectAgent(t, cp, "prod-12")
	waitsFor(t, tryDownload(t, owner, &pgharborv1.DownloadRequest{BackupId: other.hasBackup(t, 4)}))
}

// A download that was cut goes on under the approval that it has, until the
// whole file has left.
func TestResumedDownloadNeedsNoSecondApproval(t *testing.T) {
	cp, a, owner, bob := guarded(t)
	request := &pgharborv1.DownloadRequest{BackupId: a.hasBackup(t, 10), Reason: "ticket 7"}
	id := waitsFor(t, tryDownload(t, owner, request))
	mustApprove(t, bob, id)

	stream, _ := download(t, owner, request)
	up := a.upload(t, a.offer(t).GetJobId())
	if err := up.Send(chunk("0123")); err != nil {
		t.Fatal(err)
	}
	if part, err := stream.Recv(); err != nil || string(part.GetChunk()) != "0123" {
		t.Fatalf("got %v, %v", part, err)
	}
	// It is in use: nobody else's, and not a second time at once.
	if err := tryDownload(t, owner, request); status.Code(err) != codes.Unavailable || stateOf(t, owner, id) != "in-use" {
		t.Errorf("at the same time: %v", err)
	}
	if _, err := up.CloseAndRecv(); err != nil { // too early
		t.Fatal(err)
	}
	if _, err := rest(stream); status.Code(err) != codes.DataLoss {
		t.Fatalf("cut short, it ended with %v", err)
	}
	if state := stateOf(t, owner, id); state != "approved" {
		t.Fatalf("after a cut it is %s", state)
	}
	resumed := &pgharborv1.DownloadRequest{BackupId: request.GetBackupId(), Reason: "ticket 7", Offset: 4}
	a.downloads(t, owner, resumed, "456789")
	waitsFor(t, tryDownload(t, owner, resumed))
	if got := auditLog(t, cp, "approval.use"); len(got) != 4 || got[1].Outcome != "failed" || got[3].Outcome != "succeeded" {
		t.Errorf("the audit log: %+v", got)
	}
}

// Nor does one that was under way when the control plane was interrupted.
func TestApprovalInUseOutlivesTheControlPlane(t *testing.T) {
	cp, a, owner, bob := guarded(t)
	request := &pgharborv1.DownloadRequest{BackupId: a.hasBackup(t, 10)}
	id := waitsFor(t, tryDownload(t, owner, request))
	mustApprove(t, bob, id)
	cp.Stop(t)
	c := openCatalog(t, cp)
	if err := c.Approvals.Use(t.Context(), id, fleet.ApprovalInUse, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	cp.Run(t)
	if state := stateOf(t, cp.Owner(t), id); state != "approved" {
		t.Errorf("it is %s", state)
	}
}

// Of many who use one approval at once, one does.
func TestApprovalIsUsedOnceUnderAnyRace(t *testing.T) {
	_, _, owner, bob := guarded(t)
	users := pgharborv1.NewUserServiceClient(owner)
	request := &pgharborv1.CreateUserInviteRequest{Name: "carl", Role: "OWNER"}
	_, err := users.CreateUserInvite(bounded(t), request)
	mustApprove(t, bob, waitsFor(t, err))

	const racers = 50
	outcomes, start := make(chan error, racers), make(chan struct{})
	for range racers {
		go func() {
			<-start
			_, err := users.CreateUserInvite(bounded(t), request)
			outcomes <- err
		}()
	}
	close(start)
	won := 0
	for range racers {
		switch err := <-outcomes; status.Code(err) {
		case codes.OK:
			won++
		case codes.FailedPrecondition:
		default:
			t.Errorf("got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d passed", won, racers)
	}
}

func TestSameRequestAtOnceWaitsOnce(t *testing.T) {
	_, a, owner, _ := guarded(t)
	request := &pgharborv1.DownloadRequest{BackupId: a.hasBackup(t, 4)}
	const racers = 20
	answers := make(chan error, racers)
	for range racers {
		go func() { answers <- tryDownload(t, owner, request) }()
	}
	waiting := map[string]bool{}
	for range racers {
		waiting[waitsFor(t, <-answers)] = true
	}
	if len(waiting) != 1 {
		t.Errorf("it waits as %v", waiting)
	}
}

func TestWhoIsShownAnApproval(t *testing.T) {
	cp, a, owner, bob := guarded(t)
	olga := cp.User(t, "olga", fleet.RoleOperator)
	id := waitsFor(t, tryDownload(t, owner, &pgharborv1.DownloadRequest{BackupId: a.hasBackup(t, 4)}))
	for name, tt := range map[string]struct {
		conn  *grpc.ClientConn
		shown bool
	}{"its requester": {owner, true}, "who may decide": {bob, true}, "who may neither": {olga, false}} {
		approvals := pgharborv1.NewApprovalServiceClient(tt.conn)
		all, err := approvals.ListApprovals(bounded(t), &pgharborv1.ListApprovalsRequest{})
		if err != nil || (len(all.GetApprovals()) == 1) != tt.shown {
			t.Errorf("%s lists %v, %v", name, all, err)
		}
		if _, err := approvals.GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: id}); (err == nil) != tt.shown {
			t.Errorf("%s gets %v", name, err)
		}
	}
}

func TestReleaseWaitsForAnotherPerson(t *testing.T) {
	_, a, owner, bob := twoOwners(t)
	backup := a.hasBackup(t, 4)
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"release"}})
	backups := pgharborv1.NewBackupServiceClient(owner)
	hold := &pgharborv1.HoldBackupRequest{Id: backup, Reason: "audit"}
	if _, err := backups.HoldBackup(bounded(t), hold); err != nil {
		t.Fatalf("a hold waits for nobody: %v", err)
	}
	if got := a.offer(t).GetHold(); got.GetBackupId() != backup || got.GetRelease() || got.GetReason() != "audit" || got.GetBy() != "user:owner" {
		t.Errorf("the offer of the hold is %v", got)
	}
	release := func() error {
		_, err := backups.ReleaseBackup(bounded(t), &pgharborv1.ReleaseBackupRequest{Id: backup, Reason: "it is over"})
		return err
	}
	if err := approve(t, bob, waitsFor(t, release())); err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if got := a.offer(t).GetHold(); got.GetBackupId() != backup || !got.GetRelease() {
		t.Errorf("the offer of the release is %v", got)
	}
}
