package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const (
	// idleConnections are more than a control plane that is started with so few
	// descriptors could hold.
	idleConnections  = 1500
	fewDescriptors   = 256
	connectionsOfOne = 300
)

// holdOpen opens connections and leaves them. Those that are refused are closed by
// the other side.
func holdOpen(t *testing.T, from, to string, n int, say string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	for range n {
		conn, err := dialer.DialContext(t.Context(), "tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, say) // it may have been refused
	}
}

func isHealthy(t *testing.T, address, from string) {
	t.Helper()
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatalf("%s from %s: %v", path, from, err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s from %s: %s", path, from, response.Status)
		}
	}
}

// Anyone who holds connections open, on either listener, takes neither the place of others nor the
// descriptors that the control plane needs for its own files.
func TestIdleConnectionsTakeNoDescriptorsOfTheControlPlane(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "controlplane")
	made, err := server.Init(t.Context(), server.InitOptions{DataDir: dir, Advertise: "127.0.0.1:7443", Owner: "ada", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, dir, httpVariable+"=1", descriptorsVariable+"="+fmt.Sprint(fewDescriptors))
	holdOpen(t, "127.0.0.1", p.http, idleConnections, "")
	holdOpen(t, "127.0.0.3", p.http, connectionsOfOne, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	holdOpen(t, "127.0.0.4", p.http, connectionsOfOne, "GET /healthz HTTP/1.1\r\nHost:")
	for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.5"} {
		holdOpen(t, from, p.address, connectionsOfOne, "")
	}
	isHealthy(t, p.http, "127.0.0.1")
	isHealthy(t, p.http, "127.0.0.6")

	// It opens files of the catalog and the keys, for somebody with an invite.
	invite, err := pki.ParseInvite(made.Invite)
	if err != nil {
		t.Fatal(err)
	}
	invite.Address = p.address
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	identity := filepath.Join(t.TempDir(), "identity")
	if _, err := client.Enroll(ctx, identity, invite.String()); err != nil {
		t.Fatal(err)
	}
	loaded, err := client.Load(identity)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := loaded.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := pgharborv1.NewAgentServiceClient(conn).CreateAgentInvite(ctx, &pgharborv1.CreateAgentInviteRequest{Name: "db1"}, grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil || len(open) > fewDescriptors-fewDescriptors/5 {
		t.Errorf("%d of %d descriptors are open, %v", len(open), fewDescriptors, err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
