// Package servertest runs a whole control plane for tests: real TLS on a
// loopback port of its own, a real catalog in a temporary folder, and callers
// that enrol as agents and people do.
package servertest

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// OwnerName is the first OWNER.
const OwnerName = "owner"

// ControlPlane is a running control plane. Its test stops it.
type ControlPlane struct {
	DataDir string
	// OwnerInvite is the first OWNER's, with the address that is served; Owner
	// uses it up.
	OwnerInvite string

	config server.Config
	stop   func() error

	mu       sync.Mutex
	grpc     net.Addr
	http     net.Addr
	ownerDir string
}

// Start initialises a control plane and runs it. The functions may change how
// it runs.
func Start(tb testing.TB, change ...func(*server.Config)) *ControlPlane {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "controlplane")
	made, err := server.Init(tb.Context(), server.InitOptions{
		DataDir: dir, Advertise: "127.0.0.1:7443", Owner: OwnerName, Now: time.Now,
	})
	if err != nil {
		tb.Fatalf("init: %v", err)
	}
	cp := &ControlPlane{DataDir: dir, config: server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0",
		Heartbeat: server.DefaultHeartbeat, CertificateLife: server.DefaultCertificateLife,
		Log: slog.New(slog.NewTextHandler(tb.Output(), nil)), Now: time.Now,
	}}
	for _, f := range change {
		f(&cp.config)
	}
	cp.Run(tb)
	cp.OwnerInvite = cp.Here(tb, made.Invite)
	tb.Cleanup(func() { cp.Stop(tb) })
	return cp
}

// Run starts the control plane again after Stop, on another port.
func (cp *ControlPlane) Run(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ready, ended := make(chan struct{}), make(chan error, 1)
	config := cp.config
	config.Ready = func(grpc, http net.Addr) {
		cp.mu.Lock()
		defer cp.mu.Unlock()
		cp.grpc, cp.http = grpc, http
		close(ready)
	}
	go func() { ended <- server.Run(ctx, config) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		tb.Fatalf("the control plane did not start: %v", err)
	}
	cp.stop = sync.OnceValue(func() error { cancel(); return <-ended })
}

// Stop ends the control plane as SIGTERM does, and waits for it.
func (cp *ControlPlane) Stop(tb testing.TB) {
	tb.Helper()
	if err := cp.stop(); err != nil {
		tb.Errorf("the control plane ended with: %v", err)
	}
}

// Address is the host:port of gRPC.
func (cp *ControlPlane) Address() string {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.grpc.String()
}

// URL is where a path of HTTP is found.
func (cp *ControlPlane) URL(path string) string {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return "http://" + cp.http.String() + path
}

// Here is an invite with the address that is served.
func (cp *ControlPlane) Here(tb testing.TB, word string) string {
	tb.Helper()
	invite, err := pki.ParseInvite(word)
	if err != nil {
		tb.Fatal(err)
	}
	invite.Address = cp.Address()
	return invite.String()
}

// Enroll redeems an invite and returns the folder of the identity.
func (cp *ControlPlane) Enroll(tb testing.TB, invite string) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "identity")
	if _, err := client.Enroll(tb.Context(), dir, invite); err != nil {
		tb.Fatalf("enrol: %v", err)
	}
	return dir
}

// Dial opens a connection of the identity in a folder. It finds the control
// plane also after it was started again.
func (cp *ControlPlane) Dial(tb testing.TB, dir string) *grpc.ClientConn {
	tb.Helper()
	identity, err := client.Load(dir)
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := identity.Dial(grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", cp.Address())
	}))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Owner returns a connection of the first OWNER.
func (cp *ControlPlane) Owner(tb testing.TB) *grpc.ClientConn {
	tb.Helper()
	return cp.Dial(tb, cp.OwnerDir(tb))
}

// OwnerDir is the folder of the first OWNER's identity.
func (cp *ControlPlane) OwnerDir(tb testing.TB) string {
	tb.Helper()
	if cp.ownerDir == "" {
		cp.ownerDir = cp.Enroll(tb, cp.OwnerInvite)
	}
	return cp.ownerDir
}

// InviteUser returns an invite for a person, on the instances that the globs
// match or on the whole fleet.
func (cp *ControlPlane) InviteUser(tb testing.TB, name string, role fleet.Role, instances ...string) string {
	tb.Helper()
	made, err := pgharborv1.NewUserServiceClient(cp.Owner(tb)).CreateUserInvite(tb.Context(),
		&pgharborv1.CreateUserInviteRequest{Name: name, Role: string(role), Instances: instances})
	if err != nil {
		tb.Fatal(err)
	}
	return cp.Here(tb, made.GetInvite())
}

// InviteAgent returns an invite for an agent.
func (cp *ControlPlane) InviteAgent(tb testing.TB, name string) string {
	tb.Helper()
	made, err := pgharborv1.NewAgentServiceClient(cp.Owner(tb)).CreateAgentInvite(tb.Context(),
		&pgharborv1.CreateAgentInviteRequest{Name: name})
	if err != nil {
		tb.Fatal(err)
	}
	return cp.Here(tb, made.GetInvite())
}

// User invites and enrols a person, and returns their connection.
func (cp *ControlPlane) User(tb testing.TB, name string, role fleet.Role, instances ...string) *grpc.ClientConn {
	tb.Helper()
	return cp.Dial(tb, cp.Enroll(tb, cp.InviteUser(tb, name, role, instances...)))
}

// Agent invites and enrols an agent, and returns its connection.
func (cp *ControlPlane) Agent(tb testing.TB, name string) *grpc.ClientConn {
	tb.Helper()
	return cp.Dial(tb, cp.Enroll(tb, cp.InviteAgent(tb, name)))
}
