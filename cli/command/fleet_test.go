package command

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/cli/internal/logins"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// fleet is a control plane whose answers a test writes; TLS and gRPC are real. What cli/e2e shows with real daemons is
// not repeated here.
type fleet struct {
	pgharborv1.UnimplementedEnrollmentServiceServer
	pgharborv1.UnimplementedIdentityServiceServer
	pgharborv1.UnimplementedBackupServiceServer
	pgharborv1.UnimplementedRunServiceServer
	pgharborv1.UnimplementedJobServiceServer
	pgharborv1.UnimplementedRestoreServiceServer
	pgharborv1.UnimplementedTransferServiceServer
	pgharborv1.UnimplementedHealthServiceServer
	pgharborv1.UnimplementedAgentServiceServer
	pgharborv1.UnimplementedUserServiceServer
	pgharborv1.UnimplementedRetentionServiceServer
	pgharborv1.UnimplementedAuditServiceServer
	pgharborv1.UnimplementedApprovalServiceServer
	pgharborv1.UnimplementedPolicyServiceServer

	ca      *pki.CA
	pki     string // its folder
	address string
	config  string // the person's folder
	clock   *clock
	env     map[string]string

	mu      sync.Mutex
	invites map[string]string // hash of the secret -> name
	ttl     time.Duration     // of what Enroll issues
	renewed int
	// hostile answers what is not implemented here, with hostile texts everywhere.
	hostile bool
	// The answers.
	backups     []*pgharborv1.Backup
	failWith    error // of every call about backups, runs and restores
	health      *pgharborv1.GetHealthResponse
	watch       func(attempt int, stream grpc.ServerStreamingServer[pgharborv1.WatchJobResponse]) error
	restore     *pgharborv1.Restore
	restores    []*pgharborv1.Restore // that are listed; nil: one with every field filled
	send        func(request *pgharborv1.DownloadRequest, stream grpc.ServerStreamingServer[pgharborv1.DownloadResponse]) error
	approval    func(attempt int) *pgharborv1.Approval
	entries     []*pgharborv1.AuditEntry
	checkpoints *pgharborv1.ListTrailHeadsResponse
	// What was asked.
	watched   int
	approvals int
	downloads []*pgharborv1.DownloadRequest
	listed    []*pgharborv1.ListBackupsRequest
	restored  []*pgharborv1.CreateRestoreRequest
}

// newFleet serves until the test ends, and nobody is logged in.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	folder := t.TempDir()
	ca, err := pki.CreateCA(folder, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{
		ca: ca, pki: folder, address: listener.Addr().String(), config: filepath.Join(t.TempDir(), "config"),
		clock: &clock{at: time.Now().UTC()}, env: map[string]string{},
		invites: map[string]string{}, ttl: 24 * time.Hour,
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(ca.ServerConfig(time.Now, func(pki.Principal) error { return nil }))),
		grpc.UnaryInterceptor(f.answerTheRest))
	pgharborv1.RegisterEnrollmentServiceServer(server, f)
	pgharborv1.RegisterIdentityServiceServer(server, f)
	pgharborv1.RegisterBackupServiceServer(server, f)
	pgharborv1.RegisterRunServiceServer(server, f)
	pgharborv1.RegisterJobServiceServer(server, f)
	pgharborv1.RegisterRestoreServiceServer(server, f)
	pgharborv1.RegisterTransferServiceServer(server, f)
	pgharborv1.RegisterHealthServiceServer(server, f)
	pgharborv1.RegisterAgentServiceServer(server, f)
	pgharborv1.RegisterUserServiceServer(server, f)
	pgharborv1.RegisterRetentionServiceServer(server, f)
	pgharborv1.RegisterAuditServiceServer(server, f)
	pgharborv1.RegisterApprovalServiceServer(server, f)
	pgharborv1.RegisterPolicyServiceServer(server, f)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return f
}

// loggedIn is newFleet with anna logged in.
func loggedIn(t *testing.T) *fleet {
	t.Helper()
	f := newFleet(t)
	if got := f.run(t, "login", f.invite("anna")); got.code != exit.Done {
		t.Fatalf("login: %+v", got)
	}
	return f
}

type result struct {
	code           int
	stdout, stderr string
}

// run runs one command line, as a script would.
func (f *fleet) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := f.app(strings.NewReader(""), &stdout, &stderr).execute(t.Context(), args)
	return result{code, stdout.String(), stderr.String()}
}

func (f *fleet) app(stdin io.Reader, stdout, stderr io.Writer) *app {
	return newApp(Env{
		Stdin: stdin, Stdout: stdout, Stderr: stderr,
		Getenv: func(name string) string {
			if name == logins.Variable {
				return f.config
			}
			return f.env[name]
		},
		Now: f.clock.Now, Version: "test",
	}, f.clock.pause)
}

// clock moves on when somebody waits, and no other way.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pause(ctx context.Context, d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return ctx.Err() == nil
}

func (f *fleet) invite(name string) string {
	secret := pki.NewSecret(rand.Reader)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.invites[pki.HashSecret(secret)] = name
	return pki.Invite{Address: f.address, Fingerprint: f.ca.Fingerprint(), Secret: secret}.String()
}

func (f *fleet) Enroll(_ context.Context, r *pgharborv1.EnrollRequest) (*pgharborv1.EnrollResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name, ok := f.invites[pki.HashSecret(r.GetSecret())]
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "the invite was used before")
	}
	delete(f.invites, pki.HashSecret(r.GetSecret()))
	issued, err := f.ca.Sign(r.GetCsr(), pki.Principal{Kind: pki.KindUser, Name: name, Identity: "id1"}, f.ttl, time.Now())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.EnrollResponse{Kind: "user", Name: name, Certificates: issued.Chain}, nil
}

func (f *fleet) GetIdentity(context.Context, *pgharborv1.GetIdentityRequest) (*pgharborv1.GetIdentityResponse, error) {
	return &pgharborv1.GetIdentityResponse{Kind: "user", Name: "anna", Role: "OWNER"}, nil
}

func (f *fleet) RenewCertificate(_ context.Context, r *pgharborv1.RenewCertificateRequest) (*pgharborv1.RenewCertificateResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed++
	if f.failWith != nil {
		return nil, f.failWith
	}
	issued, err := f.ca.Sign(r.GetCsr(), pki.Principal{Kind: pki.KindUser, Name: "anna", Identity: "id1"}, 24*time.Hour, time.Now())
	return &pgharborv1.RenewCertificateResponse{Certificates: issued.Chain}, err
}

// ListBackups returns two backups a page.
func (f *fleet) ListBackups(_ context.Context, r *pgharborv1.ListBackupsRequest) (*pgharborv1.ListBackupsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed = append(f.listed, r)
	from, _ := strconv.Atoi(r.GetPageToken())
	to := min(from+2, len(f.backups))
	page := &pgharborv1.ListBackupsResponse{Backups: f.backups[from:to]}
	if to < len(f.backups) {
		page.NextPageToken = strconv.Itoa(to)
	}
	// The last page is the one that fails, if one is to.
	if page.NextPageToken == "" && f.failWith != nil {
		return nil, f.failWith
	}
	return page, nil
}

func (f *fleet) GetBackup(_ context.Context, r *pgharborv1.GetBackupRequest) (*pgharborv1.GetBackupResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.backups, func(b *pgharborv1.Backup) bool { return b.GetId() == r.GetId() })
	if i < 0 {
		return nil, status.Errorf(codes.NotFound, "there is no backup %q", r.GetId())
	}
	return &pgharborv1.GetBackupResponse{Backup: f.backups[i]}, nil
}

func (f *fleet) StartBackup(_ context.Context, r *pgharborv1.StartBackupRequest) (*pgharborv1.StartBackupResponse, error) {
	if f.failWith != nil {
		return nil, f.failWith
	}
	return &pgharborv1.StartBackupResponse{Job: &pgharborv1.Job{Id: "job1", Instance: r.GetInstance(), State: "queued"}}, nil
}

func (f *fleet) VerifyBackup(_ context.Context, r *pgharborv1.VerifyBackupRequest) (*pgharborv1.VerifyBackupResponse, error) {
	return &pgharborv1.VerifyBackupResponse{Job: &pgharborv1.Job{Id: "job1", Kind: "verify", Instance: "shop-db", State: "queued"}}, nil
}

func (f *fleet) WatchJob(_ *pgharborv1.WatchJobRequest, stream grpc.ServerStreamingServer[pgharborv1.WatchJobResponse]) error {
	f.mu.Lock()
	f.watched++
	attempt := f.watched
	f.mu.Unlock()
	return f.watch(attempt, stream)
}

func (f *fleet) CreateRestore(_ context.Context, r *pgharborv1.CreateRestoreRequest) (*pgharborv1.CreateRestoreResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restored = append(f.restored, r)
	if f.failWith != nil {
		return nil, f.failWith
	}
	return &pgharborv1.CreateRestoreResponse{Restore: &pgharborv1.Restore{Id: "job1", State: "queued"}}, nil
}

func (f *fleet) PreviewRestore(_ context.Context, r *pgharborv1.PreviewRestoreRequest) (*pgharborv1.PreviewRestoreResponse, error) {
	return &pgharborv1.PreviewRestoreResponse{Restore: &pgharborv1.Restore{Id: "job1", BackupId: r.GetBackupId(), State: "queued"}}, nil
}

func (f *fleet) GetRestore(context.Context, *pgharborv1.GetRestoreRequest) (*pgharborv1.GetRestoreResponse, error) {
	return &pgharborv1.GetRestoreResponse{Restore: f.restore}, nil
}

func (f *fleet) Download(r *pgharborv1.DownloadRequest, stream grpc.ServerStreamingServer[pgharborv1.DownloadResponse]) error {
	f.mu.Lock()
	f.downloads = append(f.downloads, r)
	f.mu.Unlock()
	return f.send(r, stream)
}

func (f *fleet) GetHealth(context.Context, *pgharborv1.GetHealthRequest) (*pgharborv1.GetHealthResponse, error) {
	return f.health, f.failWith
}
