// Package attack_test holds what the enemies of docs/security.md do to a control
// plane: each as a program that ran through once, over real mTLS.
package attack_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// patience is how long a test waits for what must come; nothing depends on how
// soon it does.
const patience = 2 * time.Minute

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// session is that of an agent, honest or not.
type session struct {
	grpc.BidiStreamingClient[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]
}

// connect opens a session; anyone who sends too much at once is welcomed anyway.
func connect(t *testing.T, conn *grpc.ClientConn, hello *pgharborv1.Hello) session {
	t.Helper()
	stream, err := pgharborv1.NewSessionServiceClient(conn).Connect(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	s := session{stream}
	s.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Hello{Hello: hello}})
	if first, err := s.Recv(); err != nil || first.GetWelcome() == nil {
		t.Fatalf("the answer to a hello is %v, %v", first, err)
	}
	return s
}

func (s session) send(t *testing.T, m *pgharborv1.ConnectRequest) {
	t.Helper()
	if err := s.Send(m); err != nil {
		t.Fatal(err)
	}
}

// report sends an entry of the journal and waits until it is acknowledged.
func (s session) report(t *testing.T, r *pgharborv1.Report) {
	t.Helper()
	r.Id = fleet.NewID()
	s.send(t, reportOf(r))
	for {
		m, err := s.Recv()
		if err != nil {
			t.Fatalf("the session ended: %v", err)
		}
		if m.GetReportAck().GetId() == r.GetId() {
			return
		}
	}
}

func reportOf(r *pgharborv1.Report) *pgharborv1.ConnectRequest {
	return &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Report{Report: r}}
}

func heartbeat(s *pgharborv1.AgentStatus) *pgharborv1.ConnectRequest {
	return &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Heartbeat{Heartbeat: &pgharborv1.Heartbeat{
		SentAt: timestamppb.Now(), Status: s,
	}}}
}

// backupOf is the report of a good run with a backup.
func backupOf(database string, size int64) *pgharborv1.Report {
	id, now := fleet.NewID(), timestamppb.Now()
	return &pgharborv1.Report{Id: fleet.NewID(), Event: &pgharborv1.Report_RunFinished{RunFinished: &pgharborv1.RunFinished{
		Run:    &pgharborv1.Run{Id: fleet.NewID(), Database: database, Trigger: "schedule", State: fleet.RunSucceeded, StartedAt: now, FinishedAt: now, BackupId: id},
		Backup: aBackup(id, database, size),
	}}}
}

func aBackup(id, database string, size int64) *pgharborv1.Backup {
	return &pgharborv1.Backup{
		Id: id, Database: database, Filename: "backup-2026-01-02-03-04-05.sql.enc", SizeBytes: size, CreatedAt: timestamppb.Now(),
		Sha256: strings.Repeat("0", 64), Complete: true, Encrypted: true,
	}
}

func databases(n int, name string) *pgharborv1.AgentStatus {
	s := &pgharborv1.AgentStatus{BackupsEnabled: true, RetentionDays: 30, KeepLast: 3}
	for i := range n {
		s.Databases = append(s.Databases, &pgharborv1.InstanceDatabase{Name: fmt.Sprintf(name, i), Covered: true})
	}
	return s
}

// harbor is a control plane with an honest agent, who has backed up shop, and the
// connection of another who is not honest.
type harbor struct {
	*servertest.ControlPlane
	owner, malloryConn *grpc.ClientConn
	honest             session
}

func newHarbor(t *testing.T, share fleet.Share) *harbor {
	t.Helper()
	cp := servertest.Start(t, func(c *server.Config) { c.Share, c.Heartbeat = share, patience }) // nobody is silent yet
	h := &harbor{ControlPlane: cp, owner: cp.Owner(t), malloryConn: cp.Agent(t, "mallory")}
	h.honest = connect(t, cp.Agent(t, "shop-db"), &pgharborv1.Hello{Status: databases(1, "shop%d")})
	h.honest.report(t, backupOf("shop0", 10))
	return h
}

// health is that of the fleet, by instance; over HTTP it answers too.
func (h *harbor) health(t *testing.T) map[string][]*pgharborv1.DatabaseHealth {
	t.Helper()
	report, err := pgharborv1.NewHealthServiceClient(h.owner).GetHealth(bounded(t), &pgharborv1.GetHealthRequest{})
	if err != nil {
		t.Fatalf("health: %v", err)
	}
	for _, path := range []string{"/v1/health", "/metrics"} {
		request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, h.URL(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || !strings.Contains(string(body), "shop0") {
			t.Errorf("%s answers %s, %v", path, response.Status, err)
		}
	}
	of := map[string][]*pgharborv1.DatabaseHealth{}
	for _, d := range report.GetDatabases() {
		of[d.GetInstance()] = append(of[d.GetInstance()], d)
	}
	return of
}

// verdicts are those that an instance has a reason for.
func verdicts(all []*pgharborv1.DatabaseHealth) map[string]bool {
	found := map[string]bool{}
	for _, d := range all {
		for _, r := range d.GetReasons() {
			found[r.GetVerdict()] = true
		}
	}
	return found
}

// entries are the audit log's, of an action and an actor.
func (h *harbor) entries(t *testing.T, action, actor string) []*pgharborv1.AuditEntry {
	t.Helper()
	list, err := pgharborv1.NewAuditServiceClient(h.Owner(t)).ListAuditEntries(bounded(t),
		&pgharborv1.ListAuditEntriesRequest{Action: action, Actor: actor, PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return list.GetEntries()
}
