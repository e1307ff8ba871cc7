package session_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// controlPlane is the part of one that sessions need: a CA, a catalog and a
// gRPC server with the session service.
type controlPlane struct {
	pgharborv1.UnimplementedSessionServiceServer
	*session.Registry
	folder  string
	ca      *pki.CA
	server  *grpc.Server
	address string
}

func start(t *testing.T) *controlPlane {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cp := &controlPlane{folder: t.TempDir(), ca: ca}
	cp.run(t)
	t.Cleanup(func() { cp.stop(t) })
	return cp
}

func (cp *controlPlane) run(t *testing.T) {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(cp.folder, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	cp.Registry = &session.Registry{
		Catalog: c, Notifications: &session.Notifications{}, Audit: &audit.Log{Store: c.AuditLog, Now: time.Now}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now, Heartbeat: time.Minute,
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cp.address = listener.Addr().String()
	cp.server = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(cp.ca.ServerConfig(time.Now, func(pki.Principal) error { return nil }))), grpc.WaitForHandlers(true))
	pgharborv1.RegisterSessionServiceServer(cp.server, cp)
	go func() { _ = cp.server.Serve(listener) }() // Stop ends it
}

func (cp *controlPlane) stop(t *testing.T) {
	t.Helper()
	cp.Shutdown()
	cp.server.Stop()
	cp.Wait()
	if err := cp.Catalog.Close(); err != nil {
		t.Error(err)
	}
}

// Connect serves the instance of the certificate.
func (cp *controlPlane) Connect(stream grpc.BidiStreamingServer[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]) error {
	from, _ := peer.FromContext(stream.Context())
	p, err := pki.FromCertificate(from.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0])
	if err != nil {
		return err
	}
	return cp.Serve(stream, p.Name)
}

// agent speaks session.proto as an agent does.
type agent struct {
	conn   *grpc.ClientConn
	stream grpc.BidiStreamingClient[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]
	end    context.CancelFunc
}

// invite makes an instance.
func (cp *controlPlane) invite(t *testing.T, instance string) {
	t.Helper()
	err := cp.Catalog.Invites.Create(t.Context(), fleet.Invite{
		SecretHash: fleet.NewID(), Kind: fleet.CallerAgent, Name: instance, CreatedAt: time.Now(), ExpiresAt: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// connect opens a session of an instance.
func (cp *controlPlane) connect(t *testing.T, instance string, hello *pgharborv1.Hello) *agent {
	t.Helper()
	a := cp.hail(t, instance, hello)
	if first := a.receive(t); first.GetWelcome() == nil {
		t.Fatalf("the answer to a hello is %v", first)
	}
	return a
}

// hail says hello, and does not wait for the answer.
func (cp *controlPlane) hail(t *testing.T, instance string, hello *pgharborv1.Hello) *agent {
	t.Helper()
	cp.invite(t, instance)
	config := pki.ClientConfig(cp.ca.Certificate(), func() *tls.Certificate { return cp.certificate(t, instance) })
	conn, err := grpc.NewClient("dns:///"+cp.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, end := context.WithTimeout(t.Context(), patience)
	t.Cleanup(end)
	stream, err := pgharborv1.NewSessionServiceClient(conn).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{conn: conn, stream: stream, end: end}
	a.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Hello{Hello: hello}})
	return a
}

func (cp *controlPlane) certificate(t *testing.T, instance string) *tls.Certificate {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Error(err)
		return nil
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		t.Error(err)
		return nil
	}
	issued, err := cp.ca.Sign(csr, pki.Principal{Kind: pki.KindAgent, Name: instance, Identity: "abcdefghijklmnop"}, time.Hour, time.Now())
	if err != nil {
		t.Error(err)
		return nil
	}
	return &tls.Certificate{Certificate: issued.Chain, PrivateKey: key}
}

func (a *agent) send(t *testing.T, m *pgharborv1.ConnectRequest) {
	t.Helper()
	if err := a.stream.Send(m); err != nil {
		t.Fatal(err)
	}
}

func (a *agent) receive(t *testing.T) *pgharborv1.ConnectResponse {
	t.Helper()
	m, err := a.stream.Recv()
	if err != nil {
		t.Fatalf("the session ended: %v", err)
	}
	return m
}

func (a *agent) offer(t *testing.T) *pgharborv1.Offer {
	t.Helper()
	m := a.receive(t)
	if m.GetOffer() == nil {
		t.Fatalf("got %v, want an offer", m)
	}
	return m.GetOffer()
}

// report sends an entry of the journal and waits for its acknowledgement.
func (a *agent) report(t *testing.T, r *pgharborv1.Report) {
	t.Helper()
	if r.GetId() == "" {
		r.Id = fleet.NewID()
	}
	a.send(t, reportOf(r))
	if got := a.receive(t); got.GetReportAck().GetId() != r.GetId() {
		t.Fatalf("got %v, want the acknowledgement of %s", got, r.GetId())
	}
}

// allTaken returns once all that was sent has been taken over.
func (a *agent) allTaken(t *testing.T) {
	t.Helper()
	a.report(t, &pgharborv1.Report{})
}

func reportOf(r *pgharborv1.Report) *pgharborv1.ConnectRequest {
	return &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Report{Report: r}}
}

func heartbeat(b *pgharborv1.Heartbeat) *pgharborv1.ConnectRequest {
	return &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Heartbeat{Heartbeat: b}}
}

func jobUpdate(job, phase string) *pgharborv1.ConnectRequest {
	return &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_JobUpdate{JobUpdate: &pgharborv1.JobUpdate{
		JobId: job, Progress: &pgharborv1.Progress{Phase: phase, DoneBytes: 1},
	}}}
}

func inventory(digest string, backups ...*pgharborv1.Backup) *pgharborv1.ConnectRequest {
	return &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_InventoryPage{InventoryPage: &pgharborv1.InventoryPage{
		Backups: backups, Last: true, Digest: digest,
	}}}
}

func runFinished(r *pgharborv1.Run, b *pgharborv1.Backup) *pgharborv1.Report {
	return &pgharborv1.Report{Event: &pgharborv1.Report_RunFinished{RunFinished: &pgharborv1.RunFinished{Run: r, Backup: b}}}
}

func backupRemoved(id string) *pgharborv1.Report {
	return &pgharborv1.Report{Event: &pgharborv1.Report_BackupRemoved{BackupRemoved: &pgharborv1.BackupRemoved{
		BackupId: id, Reason: "31 days old", RemovedAt: timestamppb.Now(),
	}}}
}

func jobFinished(job, state string) *pgharborv1.Report {
	return &pgharborv1.Report{Event: &pgharborv1.Report_JobFinished{JobFinished: &pgharborv1.JobFinished{
		JobId: job, State: state, FinishedAt: timestamppb.Now(),
	}}}
}

// aRun is a good one, changed by the functions.
func aRun(change ...func(*pgharborv1.Run)) *pgharborv1.Run {
	r := &pgharborv1.Run{
		Id: fleet.NewID(), Database: "shop", Trigger: "manual", State: fleet.RunSucceeded, StartedAt: timestamppb.Now(), FinishedAt: timestamppb.Now(),
	}
	for _, f := range change {
		f(r)
	}
	return r
}

// aBackup is a good one, changed by the functions.
func aBackup(change ...func(*pgharborv1.Backup)) *pgharborv1.Backup {
	b := &pgharborv1.Backup{
		Id: fleet.NewID(), Database: "shop", Filename: "backup-2026-01-02-03-04-05.sql.enc", SizeBytes: 10, Complete: true,
		CreatedAt: timestamppb.Now(), Sha256: strings.Repeat("0", 64),
	}
	for _, f := range change {
		f(b)
	}
	return b
}

// submit asks an instance for a backup, or what the functions make of it.
func (cp *controlPlane) submit(t *testing.T, instance string, change ...func(*fleet.Job)) fleet.Job {
	t.Helper()
	asked := fleet.Job{ID: fleet.NewID(), Kind: fleet.JobBackup, Instance: instance, RequestedBy: "user:owner"}
	for _, f := range change {
		f(&asked)
	}
	job, err := cp.Submit(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func (cp *controlPlane) job(t *testing.T, id string) fleet.Job {
	t.Helper()
	job, err := cp.Catalog.Jobs.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func (cp *controlPlane) backups(t *testing.T, instance string) map[string]string {
	t.Helper()
	listed, _, err := cp.Catalog.Backups.List(t.Context(), catalog.BackupQuery{Instance: instance, IncludeRemoved: true})
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, b := range listed {
		states[b.ID] = b.State
	}
	return states
}

func (cp *controlPlane) runs(t *testing.T, instance string) []fleet.Run {
	t.Helper()
	listed, _, err := cp.Catalog.Runs.List(t.Context(), catalog.RunQuery{Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	return listed
}
