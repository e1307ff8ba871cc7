package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// finishesWith reports a job that succeeded, with what came of a restore.
func (a *agent) finishesWith(t *testing.T, job string, outcome *pgharborv1.RestoreOutcome, checks ...*pgharborv1.RestoreCheck) {
	t.Helper()
	a.report(t, &pgharborv1.Report{Event: &pgharborv1.Report_JobFinished{JobFinished: &pgharborv1.JobFinished{
		JobId: job, State: "succeeded", FinishedAt: timestamppb.Now(), Restore: outcome, Checks: checks,
	}}})
}

func getRestore(t *testing.T, restores pgharborv1.RestoreServiceClient, id string) *pgharborv1.Restore {
	t.Helper()
	got, err := restores.GetRestore(bounded(t), &pgharborv1.GetRestoreRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return got.GetRestore()
}

func tryUndo(t *testing.T, restores pgharborv1.RestoreServiceClient, id, confirm string) (*pgharborv1.UndoRestoreResponse, codes.Code) {
	t.Helper()
	response, err := restores.UndoRestore(bounded(t), &pgharborv1.UndoRestoreRequest{RestoreId: id, Confirm: confirm, Reason: "a mistake"})
	return response, status.Code(err)
}

// forgeOutcome has the agent of another instance report an outcome of a restore.
func forgeOutcome(t *testing.T, cp *servertest.ControlPlane, restores pgharborv1.RestoreServiceClient, id string) {
	t.Helper()
	other := connectAgent(t, cp, "db2")
	elsewhere, err := restores.CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{
		BackupId: other.hasBackup(t, 10), TargetDatabase: "x", Confirm: "x", Reason: "r",
	})
	if err != nil {
		t.Fatal(err)
	}
	other.offer(t)
	other.finishesWith(t, elsewhere.GetRestore().GetId(), &pgharborv1.RestoreOutcome{RestoreId: id, KeptDatabase: "forged"})
}

func checkNoSecondUndo(t *testing.T, restores pgharborv1.RestoreServiceClient, id string) {
	t.Helper()
	_, err := restores.UndoRestore(bounded(t), &pgharborv1.UndoRestoreRequest{RestoreId: id, Confirm: "shop"})
	if status.Code(err) != codes.FailedPrecondition || !strings.HasSuffix(status.Convert(err).Message(), "Z") {
		t.Errorf("a second undo: %v", err)
	}
	_, err = restores.UndoRestore(bounded(t), &pgharborv1.UndoRestoreRequest{RestoreId: "nosuch", Confirm: "shop"})
	if status.Code(err) != codes.NotFound || status.Convert(err).Message() != `there is no restore "nosuch"` {
		t.Errorf("an undo of nothing: %v", err)
	}
}

func TestAReplacementIsKeptInMindAndUndone(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 10)
	restores := pgharborv1.NewRestoreServiceClient(cp.Owner(t))
	created, err := restores.CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{
		BackupId: backup, TargetDatabase: "shop", Confirm: "shop", Reason: "ticket 7", Replace: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetRestore().GetId()
	if spec := a.offer(t).GetRestore(); !spec.GetReplace() || spec.GetTargetDatabase() != "shop" {
		t.Fatalf("offered %v", spec)
	}
	get := func() *pgharborv1.Restore { t.Helper(); return getRestore(t, restores, id) }
	if _, code := tryUndo(t, restores, id, "shop"); code != codes.FailedPrecondition {
		t.Errorf("an undo of what has not happened: %v", code)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	a.finishesWith(t, id, &pgharborv1.RestoreOutcome{RestoreId: id, KeptDatabase: "shop_before_x", KeptUntil: timestamppb.New(until)})
	if r := get(); r.GetKeptDatabase() != "shop_before_x" || !r.GetKeptUntil().AsTime().Equal(until) || !r.GetReplace() {
		t.Errorf("kept is %v", r)
	}

	forgeOutcome(t, cp, restores, id) // another agent can't report on it
	if r := get(); r.GetKeptDatabase() != "shop_before_x" {
		t.Errorf("another agent has made it %v", r)
	}

	if _, code := tryUndo(t, restores, id, "shops"); code != codes.InvalidArgument {
		t.Errorf("an undo with a wrong name: %v", code)
	}
	started, code := tryUndo(t, restores, id, "shop")
	if code != codes.OK {
		t.Fatal(code)
	}
	if offer := a.offer(t); offer.GetUndo().GetRestoreId() != id || offer.GetJobId() != started.GetJobId() {
		t.Fatalf("offered %v", offer)
	}
	a.finishesWith(t, started.GetJobId(), &pgharborv1.RestoreOutcome{RestoreId: id, KeptDatabase: "shop_undone_x", UndoneAt: timestamppb.Now()})
	if r := get(); r.GetKeptDatabase() != "shop_undone_x" || r.GetUndoneAt() == nil || r.GetKeptUntil() != nil {
		t.Errorf("after the undo: %v", r)
	}
	begun := entry{"user:owner", "restore.undo", "db1", id, "a mistake", "started", "of the database shop"}
	ended := begun
	ended.Outcome, ended.Detail = "succeeded", "job "+started.GetJobId()
	if diff := cmp.Diff([]entry{begun, ended}, auditLog(t, cp, "restore.undo")); diff != "" {
		t.Error(diff)
	}
	checkNoSecondUndo(t, restores, id)

	// What was kept is dropped at last; the report of the restore comes again.
	a.finishesWith(t, id, &pgharborv1.RestoreOutcome{RestoreId: id, UndoneAt: timestamppb.Now()})
	if r := get(); r.GetKeptDatabase() != "" || r.GetState() != "succeeded" {
		t.Errorf("after it was dropped: %v", r)
	}
}

// What an undo takes out of service may be days of writes, so it waits if the replacement did; but
// for who made that, in its first minutes.
func TestUndoWaitsWhereTheReplacementDid(t *testing.T) {
	clock := newHandClock()
	cp, a, owner, bob := twoOwners(t, clock.into)
	backup := a.hasBackup(t, 10)
	olga := cp.User(t, "olga", fleet.RoleOperator)
	grant(t, cp, "olga", "backup.restore")
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
	replace := func() string {
		t.Helper()
		request := &pgharborv1.CreateRestoreRequest{BackupId: backup, TargetDatabase: "shop", Confirm: "shop", Reason: "ticket 7", Replace: true}
		mustApprove(t, bob, waitsFor(t, restoring(t, owner, request)))
		created, err := pgharborv1.NewRestoreServiceClient(owner).CreateRestore(bounded(t), request)
		if err != nil {
			t.Fatal(err)
		}
		id := created.GetRestore().GetId()
		a.offer(t)
		a.finishesWith(t, id, &pgharborv1.RestoreOutcome{RestoreId: id, KeptDatabase: "shop_before_x"})
		return id
	}
	undo := func(conn *grpc.ClientConn, id string) error {
		_, err := pgharborv1.NewRestoreServiceClient(conn).UndoRestore(bounded(t),
			&pgharborv1.UndoRestoreRequest{RestoreId: id, Confirm: "shop", Reason: "a mistake"})
		return err
	}
	botched := replace()
	waitsFor(t, undo(olga, botched)) // for somebody else at once
	if err := undo(owner, botched); err != nil {
		t.Errorf("right after it, by who made it: %v", err)
	}
	if offer := a.offer(t); offer.GetUndo().GetRestoreId() != botched {
		t.Errorf("offered %v", offer)
	}

	id := replace()
	clock.advance(fleet.UndoWindow + time.Minute)
	approval := waitsFor(t, undo(owner, id))
	shown, err := pgharborv1.NewApprovalServiceClient(bob).GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: approval})
	if got := shown.GetApproval(); err != nil || got.GetAction() != "restore.undo" || got.GetTarget() != id || got.GetInstance() != "prod-1" {
		t.Errorf("who decides is shown %v, %v", shown, err)
	}
	mustApprove(t, bob, approval)
	if err := undo(owner, id); err != nil {
		t.Error(err)
	}
	if offer := a.offer(t); offer.GetUndo().GetRestoreId() != id {
		t.Errorf("offered %v", offer)
	}
	waitsFor(t, undo(owner, id)) // the approval was good once
}

func TestAPreviewIsAJobWhoseChecksAreShown(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 10)
	restores := pgharborv1.NewRestoreServiceClient(cp.Owner(t))
	started, err := restores.PreviewRestore(bounded(t), &pgharborv1.PreviewRestoreRequest{BackupId: backup, TargetDatabase: "shop", Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	id := started.GetRestore().GetId()
	if offer := a.offer(t); offer.GetPreview().GetBackupId() != backup || !offer.GetPreview().GetReplace() || offer.GetRestore() != nil {
		t.Fatalf("offered %v", offer)
	}
	check := &pgharborv1.RestoreCheck{Name: "target", Result: "WARN", Detail: "in use", Remedy: "wait"}
	a.finishesWith(t, id, nil, check)
	got, err := restores.GetRestore(bounded(t), &pgharborv1.GetRestoreRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	if all := got.GetRestore().GetChecks(); len(all) != 1 || all[0].String() != check.String() {
		t.Errorf("the checks are %v", all)
	}
	if all := auditLog(t, cp, "restore.preview"); len(all) != 2 || all[1].Outcome != "succeeded" {
		t.Errorf("the audit log: %+v", all)
	}
	if list, err := restores.ListRestores(bounded(t), &pgharborv1.ListRestoresRequest{}); err != nil || len(list.GetRestores()) != 0 {
		t.Errorf("it is listed as a restore: %v, %v", list, err)
	}
	_, err = restores.PreviewRestore(bounded(t), &pgharborv1.PreviewRestoreRequest{BackupId: backup})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a preview of nothing: %v", err)
	}
}

// What a restored database lacks is told to the requester.
func TestWhatARestoreLacksIsToldAndKept(t *testing.T) {
	t.Parallel()
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	restores := pgharborv1.NewRestoreServiceClient(cp.Owner(t))
	created, err := restores.CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{
		BackupId: a.hasBackup(t, 10), TargetDatabase: "shop2", Confirm: "shop2", Reason: "ticket 8", WithRoles: fleet.RolesMissing,
	})
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetRestore().GetId()
	a.offer(t)
	want := []string{`left out: the role "app_migrator" does not become a member of "app"`}
	a.report(t, &pgharborv1.Report{Event: &pgharborv1.Report_JobFinished{JobFinished: &pgharborv1.JobFinished{
		JobId: id, State: "succeeded", FinishedAt: timestamppb.Now(), Warnings: want,
	}}})
	a.finishesWith(t, id, &pgharborv1.RestoreOutcome{RestoreId: id, KeptDatabase: "shop_before_x"}) // later news are without them
	got, err := restores.GetRestore(bounded(t), &pgharborv1.GetRestoreRequest{Id: id})
	if err != nil || !cmp.Equal(got.GetRestore().GetWarnings(), want) || got.GetRestore().GetKeptDatabase() != "shop_before_x" {
		t.Errorf("%v, %v", got, err)
	}
	all, err := restores.ListRestores(bounded(t), &pgharborv1.ListRestoresRequest{})
	if err != nil || len(all.GetRestores()) != 1 || !cmp.Equal(all.GetRestores()[0].GetWarnings(), want) {
		t.Errorf("%v, %v", all, err)
	}
}
