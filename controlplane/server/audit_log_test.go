package server_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestRefusedCallIsInTheAuditLog(t *testing.T) {
	cp := servertest.Start(t)
	vera := cp.User(t, "vera", fleet.RoleViewer)
	_, err := pgharborv1.NewRestoreServiceClient(vera).CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{BackupId: "x"})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatalf("got %v", err)
	}
	stream, err := pgharborv1.NewTransferServiceClient(vera).Download(bounded(t), &pgharborv1.DownloadRequest{BackupId: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Fatalf("got %v", err)
	}
	for _, action := range []string{"RestoreService/CreateRestore", "TransferService/Download"} {
		all := auditLog(t, cp, action)
		if len(all) != 1 || all[0].Actor != "user:vera" || all[0].Outcome != "denied" || !strings.Contains(all[0].Detail, "VIEWER") {
			t.Errorf("the audit log of %s: %+v", action, all)
		}
	}
}

func TestRestoreIsInTheAuditLogFromItsReasonToItsEnd(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 10)
	restores := pgharborv1.NewRestoreServiceClient(cp.Owner(t))
	for _, tt := range []struct{ target, state, failure, text, outcome, detail string }{
		{"good", "succeeded", "", "", "succeeded", "job %s; backup " + backup + ", 10 bytes, sha256 " + strings.Repeat("0", 64)},
		{"bad", "failed", "integrity", "the hash is wrong", "failed", "job %s failed: the hash is wrong"},
	} {
		t.Run(tt.target, func(t *testing.T) {
			created, err := restores.CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{
				BackupId: backup, TargetDatabase: tt.target, Confirm: tt.target, Reason: " ticket 7 ",
			})
			if err != nil {
				t.Fatal(err)
			}
			id := created.GetRestore().GetId()
			if offer := a.offer(t); offer.GetJobId() != id || offer.GetRestore().GetTargetDatabase() != tt.target || offer.GetRestore().GetBackupId() != backup {
				t.Fatalf("offered %v", offer)
			}
			a.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_JobUpdate{JobUpdate: &pgharborv1.JobUpdate{
				JobId: id, Progress: &pgharborv1.Progress{Phase: "restore", DoneBytes: 77, TotalBytes: 77},
			}}})
			a.finishes(t, id, tt.state, tt.failure, tt.text)

			begun := entry{"user:owner", "backup.restore", "db1", backup, "ticket 7", "started", "into the database " + tt.target}
			ended := begun
			ended.Outcome, ended.Detail = tt.outcome, strings.ReplaceAll(tt.detail, "%s", id)
			all := auditLog(t, cp, "backup.restore")
			if diff := cmp.Diff([]entry{begun, ended}, all[len(all)-2:]); diff != "" {
				t.Error(diff)
			}
			got, err := restores.GetRestore(bounded(t), &pgharborv1.GetRestoreRequest{Id: id})
			if err != nil || got.GetRestore().GetState() != tt.state || got.GetRestore().GetError() != tt.text || got.GetRestore().GetReason() != "ticket 7" {
				t.Errorf("the restore is %v, %v", got, err)
			}
		})
	}
}

// A control plane that was killed could not say how a download ended: the next
// one says so.
func TestDownloadUnderWayWhenTheControlPlaneDiedIsEndedInTheAuditLog(t *testing.T) {
	cp := servertest.Start(t)
	cp.Owner(t) // enrolled while the invite's address is served
	cp.Stop(t)
	c, err := catalog.Open(t.Context(), filepath.Join(cp.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	begun := chain.Entry{At: time.Now(), Actor: "user:owner", Action: "backup.download", Target: "b", Reason: "why", Outcome: chain.OutcomeStarted}
	if _, err := c.AuditLog.Append(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	cp.Run(t)
	all := auditLog(t, cp, "backup.download")
	if len(all) != 2 || all[1].Outcome != "failed" || all[1].Reason != "why" || !strings.Contains(all[1].Detail, "stopped in the middle") {
		t.Errorf("the audit log: %+v", all)
	}
}

func TestRestoreThatMakesNoSenseIsRefusedBeforeAnythingHappens(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	kept, removed := a.hasBackup(t, 10), a.hasBackup(t, 10)
	a.report(t, &pgharborv1.Report{Event: &pgharborv1.Report_BackupRemoved{BackupRemoved: &pgharborv1.BackupRemoved{
		BackupId: removed, Reason: "31 days old", RemovedAt: timestamppb.Now(),
	}}})
	restores := pgharborv1.NewRestoreServiceClient(cp.Owner(t))
	for _, tt := range []struct {
		name    string
		request *pgharborv1.CreateRestoreRequest
		code    codes.Code
	}{
		{"no target", &pgharborv1.CreateRestoreRequest{BackupId: kept, Reason: "why"}, codes.InvalidArgument},
		{"no confirmation", &pgharborv1.CreateRestoreRequest{BackupId: kept, TargetDatabase: "new", Reason: "why"}, codes.InvalidArgument},
		{"another confirmation", &pgharborv1.CreateRestoreRequest{BackupId: kept, TargetDatabase: "new", Confirm: "New", Reason: "why"}, codes.InvalidArgument},
		{"a name of restores under way", &pgharborv1.CreateRestoreRequest{
			BackupId: kept, TargetDatabase: "pgharbor_restore_x", Confirm: "pgharbor_restore_x", Reason: "why",
		}, codes.InvalidArgument},
		{"no reason", &pgharborv1.CreateRestoreRequest{BackupId: kept, TargetDatabase: "new", Confirm: "new", Reason: " "}, codes.InvalidArgument},
		{"unknown", &pgharborv1.CreateRestoreRequest{BackupId: "none", TargetDatabase: "new", Confirm: "new", Reason: "why"}, codes.NotFound},
		{"removed", &pgharborv1.CreateRestoreRequest{BackupId: removed, TargetDatabase: "new", Confirm: "new", Reason: "why"}, codes.FailedPrecondition},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := restores.CreateRestore(bounded(t), tt.request); status.Code(err) != tt.code {
				t.Errorf("got %v", err)
			}
		})
	}
	if all := auditLog(t, cp, "backup.restore"); len(all) != 0 {
		t.Errorf("the audit log: %+v", all)
	}
}

// A request that is sent again, because its reply was lost, makes one job.
func TestRepeatedRequestIsOneJob(t *testing.T) {
	cp := servertest.Start(t)
	connectAgent(t, cp, "db1")
	backups := pgharborv1.NewBackupServiceClient(cp.Owner(t))
	request := &pgharborv1.StartBackupRequest{Instance: "db1", RequestId: "once"}
	first, err := backups.StartBackup(bounded(t), request)
	if err != nil {
		t.Fatal(err)
	}
	second, err := backups.StartBackup(bounded(t), request)
	if err != nil || second.GetJob().GetId() != first.GetJob().GetId() {
		t.Errorf("the second is %v, %v; the first was %v", second, err, first)
	}
	if all := auditLog(t, cp, "backup.run"); len(all) != 1 {
		t.Errorf("the audit log: %+v", all)
	}
	// The same id of another person is another request.
	other, err := pgharborv1.NewBackupServiceClient(cp.User(t, "olga", fleet.RoleOperator)).StartBackup(bounded(t), request)
	if err != nil || other.GetJob().GetId() == first.GetJob().GetId() {
		t.Errorf("another person got %v, %v", other, err)
	}
	// It is no way to a job on an instance that the request does not name.
	connectAgent(t, cp, "db2")
	_, err = backups.StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: "db2", RequestId: "once"})
	if status.Code(err) != codes.AlreadyExists {
		t.Errorf("the same id for another instance: %v", err)
	}
}

func TestBackupOfAnAgentThatIsAwayIsRefused(t *testing.T) {
	cp := servertest.Start(t)
	cp.Agent(t, "db1")
	backups := pgharborv1.NewBackupServiceClient(cp.Owner(t))
	for instance, code := range map[string]codes.Code{"db1": codes.Unavailable, "db2": codes.NotFound} {
		_, err := backups.StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: instance})
		if status.Code(err) != code {
			t.Errorf("%s: %v, want %s", instance, err, code)
		}
	}
}

func TestWhatTheAuditLogKeepsIsBounded(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup, owner, long := a.hasBackup(t, 10), cp.Owner(t), strings.Repeat("why? ", 1000)
	for name, call := range map[string]func() error{
		"a reason": func() error {
			_, err := pgharborv1.NewRestoreServiceClient(owner).CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{
				BackupId: backup, TargetDatabase: "new", Confirm: "new", Reason: long,
			})
			return err
		},
		"the database to make": func() error {
			_, err := pgharborv1.NewRestoreServiceClient(owner).CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{
				BackupId: backup, TargetDatabase: long, Confirm: long, Reason: "why",
			})
			return err
		},
		"the database to back up": func() error {
			_, err := pgharborv1.NewBackupServiceClient(owner).StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: "db1", Database: long})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s of 5,000 bytes: %v", name, err)
		}
	}
	if kept := append(auditLog(t, cp, "backup.restore"), auditLog(t, cp, "backup.run")...); len(kept) != 0 {
		t.Errorf("the audit log: %+v", kept)
	}
}
