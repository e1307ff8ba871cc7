package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

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

// fetch is an agent's call for the backup of another instance, up to where the audit log knows of
// it: the agent that has it is not asked here.
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

// rows are the catalog's, but for the audit log and for when somebody was seen.
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
