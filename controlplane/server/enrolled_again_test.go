package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// The approver meant the host that had the name then. One person who enrols a host of their own
// under it has another request.
func TestAnApprovalIsForTheAgentOfThen(t *testing.T) {
	cp, a, owner, bob := guarded(t)
	connectAgent(t, cp, "spare")
	restores := pgharborv1.NewRestoreServiceClient(owner)
	request := &pgharborv1.CreateRestoreRequest{
		BackupId: a.hasBackup(t, 4), TargetDatabase: "shop", TargetInstance: "spare", Confirm: "shop", Reason: "drill",
	}
	create := func() error {
		_, err := restores.CreateRestore(bounded(t), request)
		return err
	}
	approval := waitsFor(t, create())
	if got := details(t, bob, approval)["target_enrolment"]; !strings.Contains(got, " since 20") {
		t.Errorf("who decides is shown %q", got)
	}
	mustApprove(t, bob, approval)
	connectAgent(t, cp, "spare")
	if next := waitsFor(t, create()); next == approval {
		t.Error("the approval is good for another agent")
	} else {
		mustApprove(t, bob, next)
	}
	if err := create(); err != nil {
		t.Errorf("approved of for the agent of now: %v", err)
	}
}

// A restore that was asked for goes to the agent of then, too, or to none.
func TestABackupDoesNotGoToAnAgentThatWasEnrolledSince(t *testing.T) {
	t.Parallel()
	cp := servertest.Start(t)
	source, target := connectAgent(t, cp, "db1"), connectAgent(t, cp, "db2")
	id := restoreElsewhere(t, cp, target, source.hasBackup(t, 6)).GetJobId()

	again := &agent{name: "db2", conn: cp.Agent(t, "db2")}
	_, content, err := again.fetch(t, id)
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "enrolled again") || content != "" {
		t.Errorf("another agent fetches %q, %v", content, err)
	}
	if told := auditLog(t, cp, "backup.fetch"); len(told) != 1 || told[0].Outcome != "denied" {
		t.Errorf("the audit log tells %+v", told)
	}
	again.connect(t)
	watch, err := pgharborv1.NewJobServiceClient(cp.Owner(t)).WatchJob(bounded(t), &pgharborv1.WatchJobRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	for {
		response, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if job := response.GetJob(); job.GetState() == "failed" {
			if !strings.Contains(job.GetError(), "enrolled again") {
				t.Errorf("it ends with %q", job.GetError())
			}
			break
		}
	}
}
