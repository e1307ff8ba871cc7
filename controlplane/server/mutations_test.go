package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// reading are the RPCs that change nothing. A new RPC stands here, in
// aboutItself or in mutations, or the tests fail.
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

// aboutItself are those with which an agent tells what it did, or sends what a
// Download, which is on the trail, has asked it for; and with which somebody tells
// which CAs they trust.
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

// harbor is a control plane with everything that the mutations are about.
type harbor struct {
	*servertest.ControlPlane
	olgaDir, bobDir, agentDir string
	otherDir                  string // of the agent db3
	invite                    string // not redeemed
	csr                       []byte
	backup                    string // of db1
	restore                   string // of it, over the database shop
	moved                     string // a restore of it on db3
	devices                   map[string]string
	approvals                 []string // two that wait

	nobody, olga, bob, other *grpc.ClientConn
	agent                    *agent // of db1
}

func newHarbor(t *testing.T) *harbor {
	t.Helper()
	// Nobody listens there: what counts is that the channel is tried.
	alerts := filepath.Join(t.TempDir(), "alerts.json")
	if err := os.WriteFile(alerts, []byte(`{"webhooks": [{"name": "nobody", "url": "http://127.0.0.1:1/"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(alertsVariable, alerts)
	cp := servertest.Start(t, func(c *server.Config) { c.AlertsFile = alerts })
	h := &harbor{ControlPlane: cp, devices: map[string]string{}}
	h.olgaDir, h.bobDir = cp.Enroll(t, cp.InviteUser(t, "olga", fleet.RoleOwner)), cp.Enroll(t, cp.InviteUser(t, "bob", fleet.RoleOwner))
	h.agentDir, h.otherDir = cp.Enroll(t, cp.InviteAgent(t, "db1")), cp.Enroll(t, cp.InviteAgent(t, "db3"))
	h.invite = cp.InviteUser(t, "pending", fleet.RoleViewer)
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if h.csr, err = pki.NewCSR(key); err != nil {
		t.Fatal(err)
	}
	h.connect(t, cp.Dial)
	h.backup = h.agent.hasBackup(t, 10)
	h.replaceDatabase(t)
	h.moveDatabase(t)
	h.addPeople(t)
	h.addPolicies(t)
	return h
}

// withApproval makes a request again, once bob has approved it.
func (h *harbor) withApproval(ctx context.Context, request func() error) error {
	err := request()
	for _, detail := range status.Convert(err).Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok || info.GetMetadata()["approval"] == "" {
			continue
		}
		_, err := pgharborv1.NewApprovalServiceClient(h.bob).Approve(ctx, &pgharborv1.ApproveRequest{Id: info.GetMetadata()["approval"]})
		if err != nil {
			return err
		}
		return request()
	}
	return err
}

// connect opens everybody's connection. Each person's device has been seen then.
func (h *harbor) connect(t *testing.T, dial func(testing.TB, string) *grpc.ClientConn) {
	t.Helper()
	h.olga, h.bob, h.nobody = dial(t, h.olgaDir), dial(t, h.bobDir), dialWith(t, h.ControlPlane, nil)
	for _, conn := range []*grpc.ClientConn{h.olga, h.bob} {
		if _, err := pgharborv1.NewIdentityServiceClient(conn).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	h.agent, h.other = &agent{name: "db1", conn: dial(t, h.agentDir)}, dial(t, h.otherDir)
	h.agent.connect(t)
}

func (h *harbor) replaceDatabase(t *testing.T) {
	t.Helper()
	created, err := pgharborv1.NewRestoreServiceClient(h.olga).CreateRestore(bounded(t),
		&pgharborv1.CreateRestoreRequest{BackupId: h.backup, TargetDatabase: "shop", Confirm: "shop", Replace: true, Reason: "why"})
	if err != nil {
		t.Fatal(err)
	}
	h.restore = created.GetRestore().GetId()
	h.agent.offer(t)
	h.agent.report(t, &pgharborv1.Report{Event: &pgharborv1.Report_JobFinished{JobFinished: &pgharborv1.JobFinished{
		JobId: h.restore, State: "succeeded", FinishedAt: timestamppb.Now(),
		Restore: &pgharborv1.RestoreOutcome{RestoreId: h.restore, KeptDatabase: "shop_before", KeptUntil: timestamppb.New(time.Now().Add(time.Hour))},
	}}})
}

func (h *harbor) moveDatabase(t *testing.T) {
	t.Helper()
	target := &agent{name: "db3", conn: h.other}
	target.connect(t)
	created, err := pgharborv1.NewRestoreServiceClient(h.olga).CreateRestore(bounded(t),
		&pgharborv1.CreateRestoreRequest{BackupId: h.backup, TargetInstance: "db3", TargetDatabase: "shop", Confirm: "shop", Reason: "why"})
	if err != nil {
		t.Fatal(err)
	}
	h.moved = created.GetRestore().GetId()
	target.offer(t)
}

// fetch is an agent's call for the backup of another instance, up to where the trail
// knows of it: the agent that has it is not asked here.
func (h *harbor) fetch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pgharborv1.NewTransferServiceClient(h.other).Fetch(ctx, &pgharborv1.FetchRequest{TransferId: h.moved})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { _, err := stream.Recv(); ended <- err }() // ends with ctx
	for ticker := time.Tick(10 * time.Millisecond); ; {
		select {
		case err := <-ended:
			return err
		case <-ticker:
		}
		list, err := pgharborv1.NewAuditServiceClient(h.bob).ListAuditEntries(ctx, &pgharborv1.ListAuditEntriesRequest{Action: "backup.fetch"})
		if err != nil || len(list.GetEntries()) > 0 {
			return err
		}
	}
}

func (h *harbor) addPeople(t *testing.T) {
	t.Helper()
	h.User(t, "vera", fleet.RoleViewer)
	h.User(t, "oleg", fleet.RoleOperator)
	grant(t, h.ControlPlane, "oleg", "backup.restore")
	h.User(t, "dora", fleet.RoleViewer)
	h.Agent(t, "db2")
	h.Enroll(t, h.InviteUser(t, "olga", fleet.RoleOwner)) // a second device
	users := pgharborv1.NewUserServiceClient(h.bob)
	for _, name := range []string{"olga", "dora"} {
		list, err := users.ListUserDevices(bounded(t), &pgharborv1.ListUserDevicesRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		for _, device := range list.GetDevices() {
			if device.GetLastSeenAt() == nil || name != "olga" {
				h.devices[name] = device.GetId()
			}
		}
	}
}

func (h *harbor) addPolicies(t *testing.T) {
	t.Helper()
	guarded := connectAgent(t, h.ControlPlane, "prod-1")
	backup := guarded.hasBackup(t, 10)
	setPolicy(t, h.olga, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"download"}})
	setPolicy(t, h.olga, &pgharborv1.SetPolicyRequest{Glob: "y-*", RequireReason: []string{"download"}})
	for _, reason := range []string{"one", "two"} {
		h.approvals = append(h.approvals, waitsFor(t, tryDownload(t, h.olga, &pgharborv1.DownloadRequest{BackupId: backup, Reason: reason})))
	}
	_, err := pgharborv1.NewHealthServiceClient(h.olga).SetThreshold(bounded(t),
		&pgharborv1.SetThresholdRequest{Threshold: &pgharborv1.Threshold{Pattern: "db1/*", SizePercent: 30}})
	if err != nil {
		t.Fatal(err)
	}
}

// rows are the catalog's, but for the trail and for when somebody was seen.
func (h *harbor) rows(t *testing.T) []string {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(h.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all []string
	for _, query := range []string{
		`SELECT 'table', name FROM sqlite_schema WHERE type = 'table'`,
		`SELECT name, enrolled_at, revoked_at FROM agents ORDER BY 1`, `SELECT id, revoked_at FROM identities ORDER BY 1`,
		`SELECT name, role, enrolled_at, revoked_at FROM users ORDER BY 1`, `SELECT user, permission FROM grants ORDER BY 1, 2`,
		`SELECT secret_hash, used_at FROM invites ORDER BY 1`, `SELECT id, kind FROM jobs ORDER BY 1`,
		`SELECT * FROM policies ORDER BY 1`, `SELECT id, state FROM approvals ORDER BY 1`, `SELECT * FROM thresholds ORDER BY 1`,
	} {
		all = append(all, textRows(t, db, query)...)
	}
	return all
}

func textRows(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = &values[i]
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(query, values))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// newest returns the sequence of the trail's newest entry.
func newest(t *testing.T, conn *grpc.ClientConn) int64 {
	t.Helper()
	page, err := pgharborv1.NewAuditServiceClient(conn).ListAuditEntries(bounded(t), &pgharborv1.ListAuditEntriesRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	return page.GetEntries()[0].GetSequence()
}

func TestEveryMutationIsOnTheTrail(t *testing.T) {
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

// Where the trail can't be written, nothing that belongs on it happens.
func TestWithoutATrailNothingHappens(t *testing.T) {
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

// Nor does it where the disk is full. What can be read is shown, nothing is lost,
// and once there is room all goes on.
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
	if head, err := server.VerifyAudit(t.Context(), h.DataDir); err != nil {
		t.Errorf("the trail up to %s: %v", head, err)
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
