package session_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/session"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

func failedRun(id string) state.Entry {
	now := time.Now().UTC()
	return state.Entry{ID: "run-" + id, Run: &state.Run{
		ID: id, Database: "shop", Trigger: state.TriggerSchedule, State: state.StateFailed, StartedAt: now, FinishedAt: now,
		Error: "bad bytes \xff of a tool",
	}}
}

func TestJournalIsReportedUntilItIsAcknowledged(t *testing.T) {
	leakless(t)
	harbor, conn := openHarbor(t)
	work := newRunner(t)
	// More than are in flight at once, from the time without a control plane.
	const entries = 150
	for n := range entries {
		if err := work.State.Journal.Append(failedRun(fmt.Sprintf("run%04d", n))); err != nil {
			t.Fatal(err)
		}
	}
	connect(t, conn, work)
	p, _ := harbor.next(t, time.Second)
	for n := range 100 {
		report := p.receive().GetReport()
		if want := fmt.Sprintf("run-run%04d", n); report.GetId() != want {
			t.Fatalf("report %d is %q, not %q: order, or a heartbeat too early", n, report.GetId(), want)
		}
		p.acknowledge(report.GetId())
	}
	p.over <- status.Error(codes.Unavailable, "going away")

	// What was not acknowledged comes again, all of it before the first heartbeat.
	p, _ = harbor.next(t, time.Second)
	seen := map[string]bool{}
	p.until(func(m *pgharborv1.ConnectRequest) bool {
		if report := m.GetReport(); report != nil {
			seen[report.GetId()] = true
			p.acknowledge(report.GetId())
		}
		return isHeartbeat(m)
	})
	for n := 100; n < entries; n++ {
		if id := fmt.Sprintf("run-run%04d", n); !seen[id] {
			t.Errorf("%s was not reported again before the heartbeat", id)
		}
	}
	// An entry of another process is found as well; by then all else is gone.
	other, err := state.Open(work.State.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Journal.Append(failedRun("byhand")); err != nil {
		t.Fatal(err)
	}
	p.until(func(m *pgharborv1.ConnectRequest) bool { return m.GetReport().GetId() == "run-byhand" })
	left, err := other.Journal.Pending()
	if diff := cmp.Diff([]string{"run-byhand"}, left); diff != "" || err != nil {
		t.Errorf("pending: %v (-want +got):\n%s", err, diff)
	}
}

// isOfShop fails for a backup that is not one of shop, whole and with its rows counted.
func isOfShop(t *testing.T, b *pgharborv1.Backup) {
	t.Helper()
	if b.GetDatabase() != "shop" || !b.GetComplete() {
		t.Errorf("backup %v", b)
	}
	if len(b.GetTables()) != 1 || b.GetTables()[0].GetRows() != 100 {
		t.Errorf("tables %v", b.GetTables())
	}
}

// pageOf asks for the inventory, which is to be one page.
func pageOf(p *peer, also func(*pgharborv1.ConnectRequest)) *pgharborv1.InventoryPage {
	p.send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_InventoryRequest{InventoryRequest: &pgharborv1.InventoryRequest{}}})
	all := p.until(func(m *pgharborv1.ConnectRequest) bool { also(m); return m.GetInventoryPage() != nil })
	return all[len(all)-1].GetInventoryPage()
}

// backupReports are what an agent reports of one job that backs up, which it does once.
type backupReports struct {
	t        *testing.T
	p        *peer
	job      string
	updates  int
	finished *pgharborv1.RunFinished
}

// take counts a message, and acknowledges it if it is a report.
func (b *backupReports) take(m *pgharborv1.ConnectRequest) {
	if m.GetJobUpdate().GetJobId() == b.job {
		b.updates++
	}
	if run := m.GetReport().GetRunFinished(); run != nil {
		if b.finished != nil {
			b.t.Errorf("the job ran twice: %v", run)
		}
		b.finished = run
	}
	if r := m.GetReport(); r != nil {
		b.p.acknowledge(r.GetId())
	}
}

func TestBackupJobIsDoneOnceAndReported(t *testing.T) {
	server := postgrestest.Shared(t)
	leakless(t)
	server.CreateDatabase(t, "shop")
	server.Exec(t, "shop", "CREATE TABLE goods AS SELECT generate_series(1, 100) AS id")
	harbor, conn := openHarbor(t)
	work := newRunner(t, onServer(t))
	connect(t, conn, work)
	p, hello := harbor.next(t, time.Second)
	if hello.GetAgentVersion() != "test" || hello.GetInventoryDigest() == "" || hello.GetStatus().GetKeepLast() != 3 {
		t.Errorf("hello: %v", hello)
	}
	const id = "aaaabbbbccccdddd"
	offer := &pgharborv1.Offer{JobId: id, Spec: &pgharborv1.Offer_Backup{Backup: &pgharborv1.BackupSpec{Database: "shop"}}}
	p.offer(offer)
	p.offer(offer) // delivery is at least once
	var result *pgharborv1.JobFinished
	heard := &backupReports{t: t, p: p, job: id}
	p.until(func(m *pgharborv1.ConnectRequest) bool {
		heard.take(m)
		result = m.GetReport().GetJobFinished()
		return result != nil
	})
	if result.GetState() != "succeeded" || result.GetJobId() != id || heard.updates == 0 {
		t.Fatalf("%d updates, result %v", heard.updates, result)
	}
	b := heard.finished.GetBackup()
	isOfShop(t, b)
	if heard.finished.GetRun().GetJobId() != id || b.GetRetention().GetStatus() != "kept" {
		t.Errorf("run %v", heard.finished)
	}
	// An offer that comes late, and another session, change nothing.
	p.offer(offer)
	beats := p.until(isHeartbeat)
	for _, m := range beats {
		heard.take(m)
	}
	digest := beats[len(beats)-1].GetHeartbeat().GetInventoryDigest()
	if digest == hello.GetInventoryDigest() {
		t.Error("the digest did not change with the inventory")
	}
	page := pageOf(p, heard.take)
	if !page.GetLast() || page.GetDigest() != digest || len(page.GetBackups()) != 1 {
		t.Fatalf("inventory %v", page)
	}
	if !proto.Equal(page.GetBackups()[0], b) {
		t.Errorf("the inventory tells of the backup otherwise than the run:\n%v\n%v", page.GetBackups()[0], b)
	}
}

func TestSendJobUploadsFromTheOffset(t *testing.T) {
	leakless(t)
	harbor, conn := openHarbor(t)
	work := newRunner(t)
	content := make([]byte, 5<<19) // two chunks and a half
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	const backupID = "bbbbbbbbbbbbbbbb"
	storeFile(t, work, backupID, content)
	connect(t, conn, work)
	p, _ := harbor.next(t, time.Second)
	const offset = 1234
	p.offer(&pgharborv1.Offer{JobId: "ccccccccccccccc1", Spec: &pgharborv1.Offer_Send{Send: &pgharborv1.SendSpec{BackupId: backupID, Offset: offset}}})
	result := p.result()
	if result.GetState() != "succeeded" {
		t.Fatalf("result %v", result)
	}
	got := <-harbor.uploads
	if got.id != "ccccccccccccccc1" || got.messages != 3 || !bytes.Equal(got.content, content[offset:]) {
		t.Errorf("%d bytes of %d in %d messages for %q", len(got.content), len(content)-offset, got.messages, got.id)
	}

	harbor.refuse = status.Error(codes.NotFound, "nobody waits")
	p.offer(&pgharborv1.Offer{JobId: "ccccccccccccccc2", Spec: &pgharborv1.Offer_Send{Send: &pgharborv1.SendSpec{BackupId: backupID}}})
	if result := p.result(); result.GetState() != "failed" || result.GetFailure() != "failed" {
		t.Errorf("a refused upload: %v", result)
	}
	p.offer(&pgharborv1.Offer{JobId: "ccccccccccccccc3", Spec: &pgharborv1.Offer_Send{Send: &pgharborv1.SendSpec{BackupId: "nosuchbackup0000"}}})
	if result := p.result(); result.GetFailure() != "not-found" {
		t.Errorf("a backup that is not there: %v", result)
	}
}

// result reads on to the end of a job and acknowledges it.
func (p *peer) result() *pgharborv1.JobFinished {
	p.t.Helper()
	all := p.until(func(m *pgharborv1.ConnectRequest) bool { return m.GetReport().GetJobFinished() != nil })
	report := all[len(all)-1].GetReport()
	p.acknowledge(report.GetId())
	return report.GetJobFinished()
}

// storeFile puts a backup of some bytes in the store; nobody will restore it.
func storeFile(t *testing.T, work *job.Runner, id string, content []byte) {
	t.Helper()
	file, err := work.Host.Store.Create("shop", "backup-2026-11-23-01-00-00.sql", "run1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(content); err != nil {
		t.Fatal(err)
	}
	created := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	if _, err := file.Commit(func(loc store.Location) ([]byte, error) {
		return manifestOf(id, loc, int64(len(content)), created), nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedAgentWorksOnAndTriesAgainSlowly(t *testing.T) {
	leakless(t)
	harbor, conn := openHarbor(t)
	work := newRunner(t)
	var log lockedBuffer
	ctx, cancel := context.WithCancel(t.Context())
	s := &session.Session{Conn: conn, Work: session.WorkOf(work), Version: "test", Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now}
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	p, _ := harbor.next(t, time.Second)
	p.over <- status.Error(codes.PermissionDenied, "revoked")
	line, err := log.awaitLine(t.Context(), "refuses")
	cancel()
	running.Wait()
	if err != nil {
		t.Fatalf("%v; the log has:\n%s", err, log.String())
	}
	if !bytes.Contains([]byte(line), []byte("may be revoked")) || !bytes.Contains([]byte(line), []byte("level=WARN")) {
		t.Errorf("log line %q", line)
	}
}
