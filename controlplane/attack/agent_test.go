// Package attack_test holds what the enemies of docs/security.md do to a control
// plane: each as a program that ran through once, over real mTLS.
package attack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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

// connect opens a session; whoever sends too much at once is welcomed all the same.
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

// entries are the trail's, of an action and an actor.
func (h *harbor) entries(t *testing.T, action, actor string) []*pgharborv1.AuditEntry {
	t.Helper()
	list, err := pgharborv1.NewAuditServiceClient(h.Owner(t)).ListAuditEntries(bounded(t),
		&pgharborv1.ListAuditEntriesRequest{Action: action, Actor: actor, PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return list.GetEntries()
}

// A hello with 200,000 names, or with one of 2 MB, made health, the metrics and
// HTTP time out for the whole fleet.
func TestNamesOfOneAgentBlindNobody(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	// The trap is live: as many names as one may have do get in.
	connect(t, h.malloryConn, &pgharborv1.Hello{Status: databases(2000, "name-%d")})
	if all := h.health(t)["mallory"]; len(all) != 2000 || verdicts(all)["REFUSED"] {
		t.Errorf("of as many as may be, %d are judged: %v", len(all), verdicts(all))
	}
	for name, hello := range map[string]*pgharborv1.Hello{
		"many": {Status: databases(200_000, "a-name-of-many-%d")},
		"huge": {Status: databases(1, strings.Repeat("x", 2<<20)+"%d"), AgentVersion: strings.Repeat("v", 2<<20), InventoryDigest: strings.Repeat("d", 2<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			connect(t, h.malloryConn, hello)
			of := h.health(t)
			if n := len(of["mallory"]); n > fleet.DefaultShare.Databases || !verdicts(of["mallory"])["REFUSED"] {
				t.Errorf("mallory has %d databases with the verdicts %v", n, verdicts(of["mallory"]))
			}
			if honest := of["shop-db"]; len(honest) != 1 || honest[0].GetVerdict() != "OK" {
				t.Errorf("the honest one is %v", honest)
			}
		})
	}
	var memory runtime.MemStats
	runtime.GC()
	if runtime.ReadMemStats(&memory); memory.HeapAlloc > 256<<20 {
		t.Errorf("%d bytes are in use afterwards", memory.HeapAlloc)
	}
}

// Sizes near 2^63 broke the sums of retention for everybody, and invented names of
// runs made health take seconds.
func TestSizesAndNamesOfReportsBreakNobodysLists(t *testing.T) {
	share := fleet.Share{Databases: 50, Backups: 200, Runs: 400, Bytes: 64 << 20}
	h := newHarbor(t, share)
	mallory := connect(t, h.malloryConn, &pgharborv1.Hello{})
	for _, size := range []int64{math.MaxInt64, math.MaxInt64 - 1, fleet.MaxSize + 1, -1, math.MinInt64} {
		mallory.report(t, backupOf("shop", size))
	}
	for range 3 {
		mallory.report(t, backupOf("shop", fleet.MaxSize))
	}
	for n := range 300 {
		mallory.report(t, backupOf(fmt.Sprintf("invented%d", n), fleet.MaxSize))
	}
	retentions, err := pgharborv1.NewRetentionServiceClient(h.owner).ListRetentions(bounded(t), &pgharborv1.ListRetentionsRequest{})
	if err != nil || len(retentions.GetRetentions()) != 2 {
		t.Fatalf("retention: %v, %v", retentions, err)
	}
	for _, r := range retentions.GetRetentions() {
		for _, d := range r.GetDatabases() {
			if want := map[string]int64{"shop": 3 * fleet.MaxSize, "shop0": 10}[d.GetDatabase()]; want > 0 && d.GetSizeBytes() != want {
				t.Errorf("%s of %s has %d bytes, want %d", d.GetDatabase(), r.GetInstance(), d.GetSizeBytes(), want)
			}
		}
	}
	of := h.health(t)
	if n := len(of["mallory"]); n > share.Databases || !verdicts(of["mallory"])["REFUSED"] {
		t.Errorf("mallory has %d databases with the verdicts %v", n, verdicts(of["mallory"]))
	}
	if honest := of["shop-db"]; len(honest) != 1 || honest[0].GetVerdict() != "OK" {
		t.Errorf("the honest one is %v", honest)
	}
}

// flood sends the worst of each kind, as fast as it is taken, until the session
// ends, and returns how much was sent and why it ended.
func flood(s session, sent *atomic.Int64) error {
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Recv(); err != nil {
				ended <- err
				return
			}
		}
	}()
	var page pgharborv1.InventoryPage
	for n := range 600 {
		b := aBackup(fleet.NewID(), fmt.Sprintf("invented%d", n%40), fleet.MaxSize)
		for m := range 20 {
			b.Tables = append(b.Tables, &pgharborv1.TableRows{Schema: "public", Name: fmt.Sprintf("table%d", m), Rows: 1})
		}
		page.Backups = append(page.Backups, b)
	}
	for n := 0; ; n++ {
		status := databases(50, "invented%d")
		status.Encrypting, status.RetentionDays = n%2 == 0, int32(n%7)
		page.Last, page.Digest = true, fmt.Sprint(n)
		for _, m := range []*pgharborv1.ConnectRequest{
			heartbeat(status), reportOf(backupOf(fmt.Sprintf("invented%d", n), fleet.MaxSize)),
			{Message: &pgharborv1.ConnectRequest_InventoryPage{InventoryPage: &page}},
			{Message: &pgharborv1.ConnectRequest_JobUpdate{JobUpdate: &pgharborv1.JobUpdate{JobId: fleet.NewID()}}},
		} {
			if err := s.Send(m); errors.Is(err, io.EOF) {
				return <-ended
			} else if err != nil {
				return err
			}
			sent.Add(1)
		}
	}
}

// An agent that floods could not be revoked for five minutes, because the trail
// could not be written, and others met SQLITE_BUSY. Now the flood goes on while
// everybody else is served, and ends with its revocation.
func TestFloodOfAnAgentIsEndedByItsRevocation(t *testing.T) {
	share := fleet.Share{Databases: 50, Backups: 3000, Runs: 400, Bytes: 64 << 20}
	h := newHarbor(t, share)
	mallory := connect(t, h.malloryConn, &pgharborv1.Hello{})
	var sent atomic.Int64
	over := make(chan error, 1)
	go func() { over <- flood(mallory, &sent) }()
	for round := range 5 {
		before := sent.Load()
		for ticker := time.Tick(time.Millisecond); sent.Load() < before+4; <-ticker { // it goes on
			select {
			case err := <-over:
				t.Fatalf("the flood ended by itself: %v", err)
			default:
			}
		}
		h.honest.report(t, backupOf("shop0", 10+int64(round)))
		if honest := h.health(t)["shop-db"]; len(honest) != 1 || honest[0].GetVerdict() != "OK" {
			t.Errorf("round %d: the honest one is %v", round, honest)
		}
	}
	asked := sent.Load()
	if _, err := pgharborv1.NewAgentServiceClient(h.owner).RevokeAgent(bounded(t), &pgharborv1.RevokeAgentRequest{Name: "mallory"}); err != nil {
		t.Fatalf("the revocation: %v", err)
	}
	// A revocation that waited for the flood would never come: it waits for one part
	// of a report, and not for what was sent before it.
	if during := sent.Load() - asked; during > 1000 {
		t.Errorf("%d messages were sent while the revocation waited", during)
	}
	if err := <-over; status.Code(err) != codes.Unauthenticated {
		t.Errorf("the flood ended with %v", err)
	}
	if n := len(h.entries(t, "agent.settings", "agent:mallory")); n > 20 {
		t.Errorf("its settings take %d entries of the trail", n)
	}
	if entries := h.entries(t, "agent.revoke", ""); len(entries) != 2 {
		t.Errorf("the trail has %d entries of the revocation", len(entries))
	}
	h.honest.report(t, backupOf("shop0", 10))
	if _, still := h.health(t)["mallory"]; still {
		t.Error("who was revoked is judged")
	}
}

// 3,000 heartbeats that flip a setting were 6,000 entries of the trail. The count is
// on it when the control plane stops.
func TestSettingsThatFlipAreAFewEntriesAndACount(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	const flips = 300
	mallory := connect(t, h.malloryConn, &pgharborv1.Hello{Status: &pgharborv1.AgentStatus{RetentionDays: 30}})
	for n := range flips {
		mallory.send(t, heartbeat(&pgharborv1.AgentStatus{RetentionDays: 30, Encrypting: n%2 == 0}))
	}
	mallory.report(t, &pgharborv1.Report{}) // all before it was taken over
	before := h.entries(t, "agent.settings", "agent:mallory")
	if len(before) == 0 || len(before) > 10 {
		t.Errorf("%d entries", len(before))
	}
	h.Stop(t)
	h.Run(t)
	after := h.entries(t, "agent.settings", "agent:mallory")
	if len(after) != len(before)+1 || !strings.HasPrefix(after[0].GetDetail(), fmt.Sprintf("%d times more from ", flips-len(before)/2)) {
		t.Errorf("%d entries, the newest: %v", len(after), after[0])
	}
}

// Who may do nothing fills the trail with that no more than others.
func TestDenialsAreAFewEntries(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	vera := h.User(t, "vera", fleet.RoleViewer)
	for n := range 300 {
		_, err := pgharborv1.NewBackupServiceClient(vera).StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: fmt.Sprint("db", n)})
		if status.Code(err) != codes.PermissionDenied {
			t.Fatalf("a viewer starts a backup: %v", err)
		}
		_, err = pgharborv1.NewBackupServiceClient(h.malloryConn).StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: "shop-db"})
		if status.Code(err) != codes.PermissionDenied {
			t.Fatalf("an agent starts a backup: %v", err)
		}
	}
	for _, actor := range []string{"user:vera", "agent:mallory"} {
		if n := len(h.entries(t, "BackupService/StartBackup", actor)); n == 0 || n > 10 {
			t.Errorf("%s has %d entries", actor, n)
		}
	}
}
