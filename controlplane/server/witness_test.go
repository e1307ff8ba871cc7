package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// witness is an agent that keeps the newest checkpoint of the audit log.
type witness struct {
	*agent
	dir string
}

func newWitness(t *testing.T, cp *servertest.ControlPlane, name string) *witness {
	t.Helper()
	dir := cp.Enroll(t, cp.InviteAgent(t, name))
	return &witness{agent: &agent{name: name, conn: cp.Dial(t, dir)}, dir: dir}
}

// sees says hello with a checkpoint, and returns the checkpoint that it is sent.
func (w *witness) sees(t *testing.T, held *pgharborv1.TrailHead) *pgharborv1.TrailHead {
	t.Helper()
	w.greets(t, held)
	for {
		m, err := w.stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetTrailHead() != nil {
			return m.GetTrailHead()
		}
	}
}

// greets says hello with a checkpoint, and hears the welcome.
func (w *witness) greets(t *testing.T, held *pgharborv1.TrailHead) {
	t.Helper()
	stream, err := pgharborv1.NewSessionServiceClient(w.conn).Connect(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	w.stream = stream
	w.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Hello{Hello: &pgharborv1.Hello{
		AgentVersion: "1", Incarnation: "the one", TrailHead: held,
		Status: &pgharborv1.AgentStatus{Databases: []*pgharborv1.InstanceDatabase{{Name: "shop", Covered: true}}},
	}}})
	if m := w.receive(t); m.GetWelcome() == nil {
		t.Fatalf("got %v", m)
	}
}

func checkpointFrom(h *pgharborv1.TrailHead) chain.SignedCheckpoint {
	return chain.SignedCheckpoint{
		Checkpoint: chain.Checkpoint{Sequence: h.GetSequence(), Hash: h.GetHash()}, At: h.GetAt().AsTime(), Signature: h.GetSignature(), Certificate: h.GetCertificate(),
	}
}

func TestAgentIsSentTheSignedCheckpoint(t *testing.T) {
	cp := servertest.Start(t)
	w := newWitness(t, cp, "db1")
	checkpoint := checkpointFrom(w.sees(t, nil))
	identity, err := client.Load(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.AuditKey(checkpoint.Certificate, checkpoint.At)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.SignedBy(key); err != nil {
		t.Error(err)
	}
	// The key outlives a restart, and is nobody's identity.
	info, err := os.Stat(filepath.Join(cp.DataDir, "pki", "trail.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("trail.key: %v, %v", info, err)
	}
	cp.Stop(t)
	cp.Run(t)
	again := checkpointFrom(w.sees(t, nil))
	if err := again.SignedBy(key); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if _, err := identity.AuditKey(certificateIn(t, w.dir).Certificate[0], checkpoint.At); err == nil {
		t.Error("an agent's certificate passes for one that signs the audit log")
	}
}

// What an agent holds and the audit log no longer has is said in the log, in health and in the
// audit log, once, and to anyone who verifies.
func TestAgentThatHasSeenAnotherAuditLogIsHeard(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tamper func(tamper)
		text   string
	}{
		{"rewritten", func(d tamper) {
			d.do(`UPDATE audit SET target = 'user:x' WHERE sequence = 2`)
			d.rehash(2)
		}, "rewritten"},
		{"an older copy", func(d tamper) { d.do(`DELETE FROM audit WHERE sequence > 3`) }, "older copy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cp := servertest.Start(t)
			w := newWitness(t, cp, "db1")
			held := w.sees(t, nil)
			cp.Stop(t)
			tt.tamper(behind(t, cp.DataDir))
			cp.Run(t)
			for range 2 {
				w.sees(t, held)
				_ = w.stream.CloseSend()
				_ = w.ended()
			}
			all := auditLog(t, cp, "trail.dispute")
			if len(all) != 1 || all[0].Actor != "agent:db1" || all[0].Target != checkpointFrom(held).String() || !strings.Contains(all[0].Detail, tt.text) {
				t.Errorf("the audit log: %+v", all)
			}
			health, err := pgharborv1.NewHealthServiceClient(cp.Owner(t)).GetHealth(bounded(t), &pgharborv1.GetHealthRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if warnings := health.GetDatabases()[0].GetWarnings(); len(warnings) != 1 || !strings.Contains(warnings[0], tt.text) {
				t.Errorf("health warns of %q", warnings)
			}
			checkpoints, err := pgharborv1.NewAuditServiceClient(cp.Owner(t)).ListTrailHeads(bounded(t), &pgharborv1.ListTrailHeadsRequest{})
			if err != nil || len(checkpoints.GetWitnessed()) != 1 || checkpoints.GetWitnessed()[0].GetHead().GetHash() != held.GetHash() {
				t.Errorf("the heads: %v, %v", checkpoints, err)
			}
		})
	}
}

// An agent can't cast doubt on the audit log with a checkpoint that nobody has signed.
func TestCheckpointThatIsNotSignedProvesNothing(t *testing.T) {
	cp := servertest.Start(t)
	w := newWitness(t, cp, "db1")
	forged := w.sees(t, nil)
	forged.Sequence += 100
	w.greets(t, forged)
	if all := auditLog(t, cp, "trail.dispute"); len(all) != 0 {
		t.Errorf("the audit log: %+v", all)
	}
}

// A running control plane holds the audit log to what it signed itself.
func TestAuditLogThatChangesBehindARunningControlPlaneIsSignedNoMore(t *testing.T) {
	cp := servertest.Start(t)
	audits := pgharborv1.NewAuditServiceClient(cp.Owner(t))
	if _, err := audits.ListTrailHeads(bounded(t), &pgharborv1.ListTrailHeadsRequest{}); err != nil {
		t.Fatal(err)
	}
	d := behind(t, cp.DataDir)
	d.do(`UPDATE audit SET target = 'user:x' WHERE sequence = 2`)
	d.rehash(2)
	for range 2 {
		cp.InviteUser(t, "vera", fleet.RoleViewer)
		if _, err := audits.ListTrailHeads(bounded(t), &pgharborv1.ListTrailHeadsRequest{}); status.Code(err) != codes.DataLoss {
			t.Errorf("got %v", err)
		}
	}
	if all := auditLog(t, cp, "trail.dispute"); len(all) != 1 || all[0].Actor != "controlplane" {
		t.Errorf("the audit log: %+v", all)
	}
}

// The rules by which an agent keeps backups are set on its host. That they were
// changed there is seen here.
func TestChangeOfAnAgentsRulesIsInTheAuditLog(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	says := func(days int32) {
		a.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Heartbeat{Heartbeat: &pgharborv1.Heartbeat{
			Status: &pgharborv1.AgentStatus{RetentionDays: days, KeepLast: 3, ServerVersion: "17.5"},
		}}})
		a.hasBackup(t, 10) // which is acknowledged after the heartbeat was taken
	}
	says(30)
	before := len(auditLog(t, cp, "agent.settings"))
	says(30)
	says(1)
	all := auditLog(t, cp, "agent.settings")[before:]
	want := entry{"agent:db1", "agent.settings", "db1", "db1", "", "started", "retention days: 1, was 30"}
	if len(all) != 2 || all[0] != want || all[1].Outcome != "succeeded" {
		t.Errorf("the audit log: %+v", all)
	}
}

// A certificate that was revoked may have been stolen: that it is tried again is
// worth knowing, once a day.
func TestRevokedCertificateThatIsTriedIsInTheAuditLog(t *testing.T) {
	cp := servertest.Start(t)
	dir := cp.Enroll(t, cp.InviteAgent(t, "db1"))
	revokeAgent(t, cp, "db1")
	for range 3 {
		_, err := pgharborv1.NewIdentityServiceClient(cp.Dial(t, dir)).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
		if status.Code(err) != codes.Unauthenticated {
			t.Fatalf("got %v", err)
		}
	}
	all := auditLog(t, cp, "connect")
	if len(all) != 1 || all[0].Actor != "agent:db1" || all[0].Outcome != "denied" || !strings.Contains(all[0].Detail, "revoked") {
		t.Errorf("the audit log: %+v", all)
	}
}
