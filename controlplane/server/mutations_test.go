package server_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/server"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// reading are the RPCs that change nothing. A new RPC is listed here, in aboutItself or in
// mutations, or the tests fail.
var reading = strings.Fields(`
	/pgharbor.v1.IdentityService/GetIdentity
	/pgharbor.v1.IdentityService/ListDevices
	/grpc.health.v1.Health/Check
	/grpc.health.v1.Health/List
	/grpc.health.v1.Health/Watch
	/pgharbor.v1.BackupService/ListBackups
	/pgharbor.v1.BackupService/GetBackup
	/pgharbor.v1.RunService/ListRuns
	/pgharbor.v1.JobService/GetJob
	/pgharbor.v1.JobService/WatchJob
	/pgharbor.v1.RestoreService/GetRestore
	/pgharbor.v1.RestoreService/ListRestores
	/pgharbor.v1.RetentionService/ListRetentions
	/pgharbor.v1.HealthService/GetHealth
	/pgharbor.v1.HealthService/WatchHealth
	/pgharbor.v1.HealthService/ListThresholds
	/pgharbor.v1.AgentService/ListAgents
	/pgharbor.v1.AgentService/GetAgent
	/pgharbor.v1.UserService/ListUsers
	/pgharbor.v1.UserService/ListUserDevices
	/pgharbor.v1.AuditService/ListAuditEntries
	/pgharbor.v1.AuditService/ExportAuditEntries
	/pgharbor.v1.AuditService/ListTrailHeads
	/pgharbor.v1.ApprovalService/ListApprovals
	/pgharbor.v1.ApprovalService/GetApproval
	/pgharbor.v1.PolicyService/ListPolicies
	/pgharbor.v1.AlertService/ListAlerts
`)

// aboutItself are those with which an agent tells what it did, or sends what a Download, which is
// in the audit log, has asked it for; and with which somebody tells which CAs they trust.
var aboutItself = strings.Fields(`
	/pgharbor.v1.SessionService/Connect
	/pgharbor.v1.TransferService/Upload
	/pgharbor.v1.IdentityService/SyncAuthorities
`)

// mutation is a call that changes something.
type mutation struct {
	actor  string
	action string // of the entry that it leaves
	do     func(context.Context, *harbor) error
}

// mutations has a row for every other RPC. Each may be called once.
var mutations = map[string]mutation{
	"/pgharbor.v1.EnrollmentService/Enroll": {"invite", "identity.enroll", func(ctx context.Context, h *harbor) error {
		return redeem(ctx, h.nobody, h.invite)
	}},
	"/pgharbor.v1.IdentityService/RenewCertificate": {"user:olga", "identity.renew", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewIdentityServiceClient(h.olga).RenewCertificate(ctx, &pgharborv1.RenewCertificateRequest{Csr: h.csr})
		return err
	}},
	"/pgharbor.v1.IdentityService/RevokeDevice": {"user:olga", "device.revoke", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewIdentityServiceClient(h.olga).RevokeDevice(ctx, &pgharborv1.RevokeDeviceRequest{DeviceId: h.devices["olga"]})
		return err
	}},
	"/pgharbor.v1.BackupService/StartBackup": {"user:olga", "backup.run", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewBackupServiceClient(h.olga).StartBackup(ctx, &pgharborv1.StartBackupRequest{Instance: "db1"})
		return err
	}},
	"/pgharbor.v1.BackupService/VerifyBackup": {"user:olga", "backup.verify", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewBackupServiceClient(h.olga).VerifyBackup(ctx, &pgharborv1.VerifyBackupRequest{Id: h.backup})
		return err
	}},
	"/pgharbor.v1.BackupService/HoldBackup": {"user:olga", "backup.hold", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewBackupServiceClient(h.olga).HoldBackup(ctx, &pgharborv1.HoldBackupRequest{Id: h.backup, Reason: "why"})
		return err
	}},
	"/pgharbor.v1.BackupService/ReleaseBackup": {"user:olga", "backup.release", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewBackupServiceClient(h.olga).ReleaseBackup(ctx, &pgharborv1.ReleaseBackupRequest{Id: h.backup, Reason: "why"})
		return err
	}},
	"/pgharbor.v1.RestoreService/CreateRestore": {"user:olga", "backup.restore", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewRestoreServiceClient(h.olga).CreateRestore(ctx,
			&pgharborv1.CreateRestoreRequest{BackupId: h.backup, TargetDatabase: "new", Confirm: "new", Reason: "why"})
		return err
	}},
	"/pgharbor.v1.RestoreService/PreviewRestore": {"user:olga", "restore.preview", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewRestoreServiceClient(h.olga).PreviewRestore(ctx, &pgharborv1.PreviewRestoreRequest{BackupId: h.backup, TargetDatabase: "new"})
		return err
	}},
	"/pgharbor.v1.RestoreService/UndoRestore": {"user:olga", "restore.undo", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewRestoreServiceClient(h.olga).UndoRestore(ctx, &pgharborv1.UndoRestoreRequest{RestoreId: h.restore, Confirm: "shop", Reason: "why"})
		return err
	}},
	"/pgharbor.v1.TransferService/Download": {"user:olga", "backup.download", func(ctx context.Context, h *harbor) error {
		stream, err := pgharborv1.NewTransferServiceClient(h.olga).Download(ctx, &pgharborv1.DownloadRequest{BackupId: h.backup})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}},
	"/pgharbor.v1.TransferService/Fetch": {"user:olga", "backup.fetch", func(ctx context.Context, h *harbor) error {
		return h.fetch(ctx)
	}},
	"/pgharbor.v1.HealthService/SetThreshold": {"user:olga", "threshold.set", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewHealthServiceClient(h.olga).SetThreshold(ctx,
			&pgharborv1.SetThresholdRequest{Threshold: &pgharborv1.Threshold{Pattern: "db2/*", SizePercent: 40}})
		return err
	}},
	"/pgharbor.v1.HealthService/RemoveThreshold": {"user:olga", "threshold.remove", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewHealthServiceClient(h.olga).RemoveThreshold(ctx, &pgharborv1.RemoveThresholdRequest{Pattern: "db1/*"})
		return err
	}},
	"/pgharbor.v1.AgentService/CreateAgentInvite": {"user:olga", "agent.invite", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewAgentServiceClient(h.olga).CreateAgentInvite(ctx, &pgharborv1.CreateAgentInviteRequest{Name: "new"})
		return err
	}},
	"/pgharbor.v1.AgentService/RevokeAgent": {"user:olga", "agent.revoke", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewAgentServiceClient(h.olga).RevokeAgent(ctx, &pgharborv1.RevokeAgentRequest{Name: "db2"})
		return err
	}},
	"/pgharbor.v1.UserService/CreateUserInvite": {"user:olga", "user.invite", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewUserServiceClient(h.olga).CreateUserInvite(ctx, &pgharborv1.CreateUserInviteRequest{Name: "new", Role: "VIEWER"})
		return err
	}},
	"/pgharbor.v1.UserService/UpdateUser": {"user:olga", "user.set", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewUserServiceClient(h.olga).UpdateUser(ctx, &pgharborv1.UpdateUserRequest{Name: "dora", Role: "OPERATOR"})
		return err
	}},
	"/pgharbor.v1.UserService/GrantPermission": {"user:olga", "user.grant", func(ctx context.Context, h *harbor) error {
		// With backup.hold somebody can approve, so this waits for bob.
		return h.withApproval(ctx, func() error {
			_, err := pgharborv1.NewUserServiceClient(h.olga).GrantPermission(ctx, &pgharborv1.GrantPermissionRequest{Name: "oleg", Permission: "backup.hold"})
			return err
		})
	}},
	"/pgharbor.v1.UserService/RevokePermission": {"user:olga", "user.revoke-grant", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewUserServiceClient(h.olga).RevokePermission(ctx, &pgharborv1.RevokePermissionRequest{Name: "oleg", Permission: "backup.restore"})
		return err
	}},
	"/pgharbor.v1.UserService/RevokeUser": {"user:olga", "user.revoke", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewUserServiceClient(h.olga).RevokeUser(ctx, &pgharborv1.RevokeUserRequest{Name: "vera"})
		return err
	}},
	"/pgharbor.v1.UserService/RevokeUserDevice": {"user:olga", "device.revoke", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewUserServiceClient(h.olga).RevokeUserDevice(ctx, &pgharborv1.RevokeUserDeviceRequest{Name: "dora", DeviceId: h.devices["dora"]})
		return err
	}},
	"/pgharbor.v1.ApprovalService/Approve": {"user:bob", "approval.approve", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewApprovalServiceClient(h.bob).Approve(ctx, &pgharborv1.ApproveRequest{Id: h.approvals[0]})
		return err
	}},
	"/pgharbor.v1.ApprovalService/Deny": {"user:bob", "approval.deny", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewApprovalServiceClient(h.bob).Deny(ctx, &pgharborv1.DenyRequest{Id: h.approvals[1]})
		return err
	}},
	"/pgharbor.v1.PolicyService/SetPolicy": {"user:olga", "policy.set", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewPolicyServiceClient(h.olga).SetPolicy(ctx, &pgharborv1.SetPolicyRequest{Glob: "x-*", RequireReason: []string{"download"}})
		return err
	}},
	"/pgharbor.v1.AlertService/TestAlerts": {"user:olga", "alerts.test", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewAlertServiceClient(h.olga).TestAlerts(ctx, &pgharborv1.TestAlertsRequest{})
		return err
	}},
	"/pgharbor.v1.PolicyService/RemovePolicy": {"user:olga", "policy.remove", func(ctx context.Context, h *harbor) error {
		_, err := pgharborv1.NewPolicyServiceClient(h.olga).RemovePolicy(ctx, &pgharborv1.RemovePolicyRequest{Glob: "y-*"})
		return err
	}},
}

// newest returns the sequence of the audit log's newest entry.
func newest(t *testing.T, conn *grpc.ClientConn) int64 {
	t.Helper()
	page, err := pgharborv1.NewAuditServiceClient(conn).ListAuditEntries(bounded(t), &pgharborv1.ListAuditEntriesRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	return page.GetEntries()[0].GetSequence()
}

func TestEveryMutationIsInTheAuditLog(t *testing.T) {
	h := newHarbor(t)
	known := map[string]int{}
	for _, method := range append(reading, aboutItself...) {
		known[method]++
	}
	for method := range mutations {
		known[method]++
	}
	for method := range methods(t) {
		if known[method] != 1 {
			t.Errorf("%s stands in %d of the test's tables: say whether it changes something, and how it is called", method, known[method])
		}
		delete(known, method)
	}
	for method := range known {
		t.Errorf("the test's tables name %s, which is not served", method)
	}
	for method, m := range mutations {
		t.Run(method, func(t *testing.T) {
			before := newest(t, h.bob)
			if err := m.do(bounded(t), h); err != nil {
				t.Fatal(err)
			}
			page, err := pgharborv1.NewAuditServiceClient(h.bob).ListAuditEntries(bounded(t), &pgharborv1.ListAuditEntriesRequest{Action: m.action, Actor: m.actor})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.GetEntries() {
				if e.GetSequence() > before && e.GetOutcome() == "started" {
					return
				}
			}
			t.Errorf("no %s by %s was started: %v", m.action, m.actor, page.GetEntries())
		})
	}
}

// If the audit log can't be written, nothing that belongs on it happens.
func TestWithoutAnAuditLogNothingHappens(t *testing.T) {
	h := newHarbor(t)
	db, err := sql.Open("sqlite", filepath.Join(h.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no space'); END`); err != nil {
		t.Fatal(err)
	}
	h.changesNothing(t)
}

// Nor does it if the disk is full. What can be read is shown, nothing is lost, and once there is
// room all goes on.
func TestWhereTheDiskIsFullNothingHappens(t *testing.T) {
	h := newHarbor(t)
	h.Stop(t)
	p := startProcess(t, h.DataDir)
	h.connect(t, p.dial)
	h.nobody = dialAt(t, h.ControlPlane, p.address, nil)
	p.fileSizes(t, 0)
	h.changesNothing(t)
	list, err := pgharborv1.NewBackupServiceClient(h.olga).ListBackups(bounded(t), &pgharborv1.ListBackupsRequest{})
	if err != nil || len(list.GetBackups()) != 2 {
		t.Errorf("the backups: %v, %v", list, err)
	}
	p.fileSizes(t, ^uint64(0))
	if err := mutations["/pgharbor.v1.UserService/CreateUserInvite"].do(bounded(t), h); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if checkpoint, err := server.VerifyAudit(t.Context(), h.DataDir); err != nil {
		t.Errorf("the audit log up to %s: %v", checkpoint, err)
	}
}

func (h *harbor) changesNothing(t *testing.T) {
	t.Helper()
	before := h.rows(t)
	for method, m := range mutations {
		if err := m.do(bounded(t), h); status.Code(err) != codes.Internal {
			t.Errorf("%s: %v", method, err)
		}
	}
	if diff := cmp.Diff(before, h.rows(t)); diff != "" {
		t.Errorf("something changed: %s", diff)
	}
}
