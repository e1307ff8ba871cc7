package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// The insider: what somebody of the fleet tried with the rights that they have, got
// by it once, and does not any longer.

// carryingOff is olga, an OPERATOR who may restore, and who has the host of the agent
// mine. What she is after is a backup of db1.
func carryingOff(t *testing.T, sealed bool) (cp *servertest.ControlPlane, olga *grpc.ClientConn, source, mine *agent, request *pgharborv1.CreateRestoreRequest) {
	t.Helper()
	cp = servertest.Start(t)
	source, mine = connectAgent(t, cp, "db1"), connectAgent(t, cp, "mine")
	olga = cp.User(t, "olga", fleet.RoleOperator)
	grant(t, cp, "olga", "backup.restore")
	return cp, olga, source, mine, &pgharborv1.CreateRestoreRequest{
		BackupId: source.hasBackupWith(t, int64(len("sealed")), sealed), TargetDatabase: "again", TargetInstance: "mine", Confirm: "again", Reason: "a drill",
	}
}

// Anyone who may restore, and has an agent of their own, had whole files sent there without the
// right to download any: that they leave takes a permission of its own.
func TestFilesDoNotLeaveByTheRightToRestore(t *testing.T) {
	cp, olga, _, mine, request := carryingOff(t, true)
	err := restoring(t, olga, request)
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "backup.export") {
		t.Errorf("without it: %v", err)
	}
	if told := auditLog(t, cp, "RestoreService/CreateRestore"); len(told) != 1 || told[0].Outcome != "denied" || told[0].Actor != "user:olga" || told[0].Instance != "db1" {
		t.Errorf("the audit log: %+v", told)
	}
	// It counts where the file leaves, and not where it gets.
	grant(t, cp, "olga", "backup.export", "mine")
	if err := restoring(t, olga, request); status.Code(err) != codes.PermissionDenied {
		t.Errorf("with it on her own instance: %v", err)
	}
	grant(t, cp, "olga", "backup.export", "db*")
	if err := restoring(t, olga, request); err != nil {
		t.Errorf("with it on db*: %v", err)
	}
	mine.offer(t)
}

// She had the file three times on one restore.
func TestBackupLeavesOnceForARestore(t *testing.T) {
	cp, olga, source, mine, request := carryingOff(t, true)
	grant(t, cp, "olga", "backup.export")
	if err := restoring(t, olga, request); err != nil {
		t.Fatal(err)
	}
	id := mine.offer(t).GetJobId()
	uploaded := source.sendsWhole(t, "sealed")
	if _, content, err := mine.fetch(t, id); content != "sealed" || err != nil {
		t.Fatalf("the first time: %q, %v", content, err)
	}
	if err := <-uploaded; err != nil {
		t.Error(err)
	}
	for range 50 {
		if manifest, content, err := mine.fetch(t, id); status.Code(err) != codes.FailedPrecondition || manifest+content != "" {
			t.Errorf("once more: %q, %q, %v", manifest, content, err)
		}
	}
	told := auditLog(t, cp, "backup.fetch")
	if len(told) != 5 || told[1].Outcome != "succeeded" {
		t.Fatalf("the audit log: %+v", told)
	}
	for _, e := range told[2:] { // the rest is counted
		if e.Outcome != "denied" || e.Actor != "user:olga" || !strings.Contains(e.Detail, "was fetched before") {
			t.Errorf("the audit log: %+v", e)
		}
	}
}

// Nor can she have it again by breaking off before the end.
func TestTransferThatIsBrokenOffIsNotTakenUpAgain(t *testing.T) {
	cp, olga, source, mine, request := carryingOff(t, true)
	grant(t, cp, "olga", "backup.export")
	if err := restoring(t, olga, request); err != nil {
		t.Fatal(err)
	}
	id := mine.offer(t).GetJobId()
	half := source.sendsWhole(t, "seal") // of six bytes
	if _, content, err := mine.fetch(t, id); content != "seal" || status.Code(err) != codes.DataLoss {
		t.Errorf("got %q, %v", content, err)
	}
	if err := <-half; err != nil {
		t.Errorf("the half that was sent: %v", err)
	}
	if _, content, err := mine.fetch(t, id); content != "" || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("once more: %q, %v", content, err)
	}
}

// What the source does not seal is plaintext on her host, as a download would be.
func TestPlaintextDoesNotLeaveByTheRightToExport(t *testing.T) {
	cp, olga, _, mine, request := carryingOff(t, false)
	grant(t, cp, "olga", "backup.export")
	err := restoring(t, olga, request)
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "backup.download") {
		t.Errorf("of an OPERATOR: %v", err)
	}
	if told := auditLog(t, cp, "RestoreService/CreateRestore"); len(told) != 1 || told[0].Outcome != "denied" {
		t.Errorf("the audit log: %+v", told)
	}
	if err := restoring(t, cp.Owner(t), request); err != nil {
		t.Fatalf("of who may download: %v", err)
	}
	mine.offer(t)
	if told := auditLog(t, cp, "backup.restore"); len(told) != 1 || !strings.Contains(told[0].Detail, "in plaintext") {
		t.Errorf("the audit log: %+v", told)
	}
}

// What she had asked for while she might leaves no longer when she may not, before its first byte
// or in the middle of it.
func TestFileStaysWhenItsRequesterMayNoLonger(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *servertest.ControlPlane){
		"revoked": func(t *testing.T, cp *servertest.ControlPlane) { revokeUser(t, cp, "olga") },
		"without the grant": func(t *testing.T, cp *servertest.ControlPlane) {
			_, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).RevokePermission(bounded(t),
				&pgharborv1.RevokePermissionRequest{Name: "olga", Permission: "backup.export"})
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, midst := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				cp, olga, source, mine, request := carryingOff(t, true)
				request.BackupId = source.hasBackup(t, 1<<40)
				grant(t, cp, "olga", "backup.export")
				if err := restoring(t, olga, request); err != nil {
					t.Fatal(err)
				}
				id := mine.offer(t).GetJobId()
				if midst {
					go func() {
						up := source.upload(t, source.offer(t).GetJobId())
						if err := up.Send(chunk("first")); err != nil {
							t.Error(err)
						}
					}()
				} else {
					end(t, cp)
				}
				stream, err := pgharborv1.NewTransferServiceClient(mine.conn).Fetch(bounded(t), &pgharborv1.FetchRequest{TransferId: id})
				if err != nil {
					t.Fatal(err)
				}
				if midst {
					for range 2 { // the manifest and the first bytes
						if _, err := stream.Recv(); err != nil {
							t.Fatal(err)
						}
					}
					end(t, cp)
				}
				if part, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
					t.Errorf("got %v, %v", part, err)
				}
				told := auditLog(t, cp, "backup.fetch")
				denied := 0
				for _, e := range told {
					if e.Outcome == "denied" && e.Actor == "user:olga" {
						denied++
					}
				}
				if denied != 1 {
					t.Errorf("the audit log: %+v", told)
				}
			})
		}
	}
}
