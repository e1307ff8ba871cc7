package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// patience is how long a test waits for what must come; nothing depends on how
// soon it does.
const patience = time.Minute

// bounded is a context for what must end by itself.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// agent speaks session.proto as an agent does.
type agent struct {
	name   string
	conn   *grpc.ClientConn
	stream grpc.BidiStreamingClient[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]
}

// connectAgent enrols an agent and opens its session.
func connectAgent(t *testing.T, cp *servertest.ControlPlane, name string) *agent {
	t.Helper()
	a := &agent{name: name, conn: cp.Agent(t, name)}
	a.connect(t)
	return a
}

func (a *agent) connect(t *testing.T) {
	t.Helper()
	stream, err := pgharborv1.NewSessionServiceClient(a.conn).Connect(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	a.stream = stream
	a.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Hello{Hello: &pgharborv1.Hello{AgentVersion: "1"}}})
	if welcome := a.receive(t).GetWelcome(); welcome == nil {
		t.Fatal("the first message is no welcome")
	}
}

func (a *agent) send(t *testing.T, m *pgharborv1.ConnectRequest) {
	t.Helper()
	if err := a.stream.Send(m); err != nil {
		t.Fatal(err)
	}
}

func (a *agent) receive(t *testing.T) *pgharborv1.ConnectResponse {
	t.Helper()
	for {
		m, err := a.stream.Recv()
		if err != nil {
			t.Fatalf("session of %s: %v", a.name, err)
		}
		if m.GetTrailHead() == nil { // which may come at any time
			return m
		}
	}
}

// ended reads on to the session's end, and returns why it has.
func (a *agent) ended() error {
	for {
		if _, err := a.stream.Recv(); err != nil {
			return err
		}
	}
}

// offer waits for a job.
func (a *agent) offer(t *testing.T) *pgharborv1.Offer {
	t.Helper()
	offer := a.receive(t).GetOffer()
	if offer == nil {
		t.Fatal("the message is no offer")
	}
	return offer
}

// report sends an entry of the journal and waits until it is acknowledged.
func (a *agent) report(t *testing.T, r *pgharborv1.Report) {
	t.Helper()
	r.Id = fleet.NewID()
	a.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Report{Report: r}})
	if ack := a.receive(t).GetReportAck(); ack.GetId() != r.GetId() {
		t.Fatalf("acknowledged %q, want %q", ack.GetId(), r.GetId())
	}
}

// hasBackup reports a succeeded run with a backup of this size, and returns
// the backup's id.
func (a *agent) hasBackup(t *testing.T, size int64) string { return a.hasBackupWith(t, size, true) }

// hasBackupWith is hasBackup for one that is sealed or is not.
func (a *agent) hasBackupWith(t *testing.T, size int64, sealed bool) string {
	t.Helper()
	id, now := fleet.NewID(), timestamppb.Now()
	a.report(t, &pgharborv1.Report{Event: &pgharborv1.Report_RunFinished{RunFinished: &pgharborv1.RunFinished{
		Run: &pgharborv1.Run{
			Id: fleet.NewID(), Database: "shop", Trigger: "manual", State: fleet.RunSucceeded, StartedAt: now, FinishedAt: now, BackupId: id,
		},
		Backup: &pgharborv1.Backup{
			Id: id, Database: "shop", Filename: "backup-2026-01-02-03-04-05.sql.enc", SizeBytes: size, CreatedAt: now,
			Sha256: strings.Repeat("0", 64), Complete: true, Encrypted: sealed,
		},
	}}})
	return id
}

// finishes reports how a job ended.
func (a *agent) finishes(t *testing.T, job, state, failure, text string) {
	t.Helper()
	a.report(t, &pgharborv1.Report{Event: &pgharborv1.Report_JobFinished{JobFinished: &pgharborv1.JobFinished{
		JobId: job, State: state, Failure: failure, Error: text, FinishedAt: timestamppb.Now(),
	}}})
}

// upload opens the stream of a send job.
func (a *agent) upload(t *testing.T, job string) grpc.ClientStreamingClient[pgharborv1.UploadRequest, pgharborv1.UploadResponse] {
	t.Helper()
	stream, err := pgharborv1.NewTransferServiceClient(a.conn).Upload(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&pgharborv1.UploadRequest{Part: &pgharborv1.UploadRequest_Header{Header: &pgharborv1.UploadHeader{TransferId: job}}})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func chunk(content string) *pgharborv1.UploadRequest {
	return &pgharborv1.UploadRequest{Part: &pgharborv1.UploadRequest_Chunk{Chunk: []byte(content)}}
}

// download asks for a backup and takes the header.
func download(t *testing.T, conn *grpc.ClientConn, request *pgharborv1.DownloadRequest) (grpc.ServerStreamingClient[pgharborv1.DownloadResponse], *pgharborv1.DownloadHeader) {
	t.Helper()
	stream, err := pgharborv1.NewTransferServiceClient(conn).Download(bounded(t), request)
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil {
		t.Fatalf("download: %v", err)
	}
	return stream, first.GetHeader()
}

// entry is what a person asks of the audit log.
type entry struct{ Actor, Action, Instance, Target, Reason, Outcome, Detail string }

// auditLog returns the entries of an action, oldest first.
func auditLog(t *testing.T, cp *servertest.ControlPlane, action string) []entry {
	t.Helper()
	return auditLogBy(t, cp.Owner(t), action)
}

func auditLogBy(t *testing.T, owner *grpc.ClientConn, action string) []entry {
	t.Helper()
	client, request := pgharborv1.NewAuditServiceClient(owner), &pgharborv1.ListAuditEntriesRequest{Action: action}
	var all []entry
	for {
		page, err := client.ListAuditEntries(bounded(t), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.GetEntries() {
			all = append(all, entry{
				e.GetActor(), e.GetAction(), e.GetInstance(), e.GetTarget(), e.GetReason(), e.GetOutcome(), e.GetDetail(),
			})
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	slices.Reverse(all)
	return all
}
