package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestStopEndsSessionsAndWatchesAndIsNoError(t *testing.T) {
	t.Parallel() // it takes as long as calls under way may
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 1<<40)
	watch, err := pgharborv1.NewJobServiceClient(cp.Owner(t)).WatchJob(bounded(t),
		&pgharborv1.WatchJobRequest{Id: startBackup(t, cp.Owner(t), "db1").GetId()})
	if err != nil {
		t.Fatal(err)
	}
	offered := a.offer(t)
	stream, _ := download(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup})
	cp.Stop(t)
	if err := a.ended(); status.Code(err) != codes.Unavailable {
		t.Errorf("the session ended with %v", err)
	}
	for err = nil; err == nil; {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unavailable && status.Code(err) != codes.Canceled {
		t.Errorf("the watch ended with %v", err)
	}
	if _, err := rest(stream); err == nil {
		t.Error("a download that was cut off looks finished")
	}

	// What was asked for outlives the control plane.
	cp.Run(t)
	a.connect(t)
	if again := a.offer(t); again.GetJobId() != offered.GetJobId() {
		t.Errorf("after the restart %v was offered, before it %v", again, offered)
	}
}

func TestStopWhileItStartsIsNoError(t *testing.T) {
	dir := initialised(t)
	ctx, cancel := context.WithCancel(t.Context())
	config := serveOn(dir)
	config.Ready = func(net.Addr, net.Addr) { cancel() }
	if err := server.Run(ctx, config); err != nil {
		t.Errorf("got %v", err)
	}
}

// A connection over which nothing comes must not make an orderly stop a failed
// one.
func TestStopWithASilentHTTPConnectionIsNoError(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	ctx, cancel := context.WithCancel(t.Context())
	config := serveOn(dir)
	config.Ready = func(_, http net.Addr) {
		conn, err := net.Dial("tcp", http.String())
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
		cancel()
	}
	if err := server.Run(ctx, config); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestSecondControlPlaneInAFolderIsRefused(t *testing.T) {
	cp := servertest.Start(t)
	err := server.Run(bounded(t), serveOn(cp.DataDir))
	if !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("serve: %v", err)
	}
	if _, err := server.Init(t.Context(), initOptions(cp.DataDir)); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("init: %v", err)
	}
	if _, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).ListUsers(bounded(t), &pgharborv1.ListUsersRequest{}); err != nil {
		t.Errorf("the first one no longer serves: %v", err)
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := initialised(t)
	for _, tt := range []struct {
		name   string
		change func(*server.Config)
		cause  error
	}{
		{"no control plane", func(c *server.Config) { c.DataDir = t.TempDir() }, fleet.ErrNotFound},
		{"the port is taken", func(c *server.Config) { c.Listen = taken.Addr().String() }, nil},
		{"the HTTP port is taken", func(c *server.Config) { c.HTTPListen = taken.Addr().String() }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := serveOn(dir)
			tt.change(&config)
			if err := server.Run(bounded(t), config); err == nil || (tt.cause != nil && !errors.Is(err, tt.cause)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// panicker is a log that panics at one message: a stand-in for any bug in the
// code that logs it.
type panicker struct {
	slog.Handler
	at string
}

func (p panicker) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == p.at {
		panic("a bug")
	}
	return p.Handler.Handle(ctx, r)
}

// A message that makes a handler panic ends its own call and not the fleet.
func TestPanicEndsOneCallOnly(t *testing.T) {
	for _, at := range []string{"agent connected", "backup removed"} {
		t.Run(at, func(t *testing.T) {
			cp := servertest.Start(t, func(c *server.Config) { c.Log = slog.New(panicker{c.Log.Handler(), at}) })
			stream, err := pgharborv1.NewSessionServiceClient(cp.Agent(t, "db1")).Connect(bounded(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []*pgharborv1.ConnectRequest{
				{Message: &pgharborv1.ConnectRequest_Hello{Hello: &pgharborv1.Hello{}}},
				{Message: &pgharborv1.ConnectRequest_Report{Report: &pgharborv1.Report{
					Id: "1", Event: &pgharborv1.Report_BackupRemoved{BackupRemoved: &pgharborv1.BackupRemoved{}},
				}}},
			} {
				if err := stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
			}
			for err = nil; err == nil; {
				_, err = stream.Recv()
			}
			if status.Code(err) != codes.Internal {
				t.Errorf("got %v", err)
			}
			if _, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).ListUsers(bounded(t), &pgharborv1.ListUsersRequest{}); err != nil {
				t.Errorf("others are not served: %v", err)
			}
		})
	}
}

func initialised(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := server.Init(t.Context(), initOptions(dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func initOptions(dir string) server.InitOptions {
	return server.InitOptions{DataDir: dir, Advertise: "127.0.0.1:7443", Owner: servertest.OwnerName, Now: time.Now}
}

func serveOn(dir string) server.Config {
	return server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0",
		Heartbeat: server.DefaultHeartbeat, CertificateLife: server.DefaultCertificateLife,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
	}
}
