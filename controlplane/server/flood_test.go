package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/admission"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// elsewhere is another address of this machine, as a flood comes from.
const elsewhere = "127.0.0.2"

func dialFrom(t *testing.T, cp *servertest.ControlPlane, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext(bounded(t), "tcp", cp.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// refusedOf is how often somebody met a bound.
func refusedOf(t *testing.T, cp *servertest.ControlPlane, what string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, cp.URL("/metrics"), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`pgharbor_refused_total{of="` + what + `"} (\d+)`).FindSubmatch(body)
	if found == nil {
		t.Fatalf("no such metric in:\n%s", body)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func isServed(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	if _, err := pgharborv1.NewIdentityServiceClient(conn).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{}); err != nil {
		t.Errorf("somebody else is not served: %v", err)
	}
}

func TestSlowHandshakesKeepNobodyOut(t *testing.T) {
	t.Parallel() // it takes as long as a handshake may
	cp := servertest.Start(t)
	owner := cp.OwnerDir(t)
	const more = 40
	var slow []net.Conn
	for range admission.Default.HandshakesOfAddress + more {
		slow = append(slow, dialFrom(t, cp, elsewhere))
	}
	isServed(t, hold(t, cp, owner).conn)
	// A connection above the limit is refused, and so is one that sends nothing.
	var wg sync.WaitGroup
	for _, conn := range slow {
		wg.Go(func() {
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Error(err)
			}
			if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
				t.Errorf("a connection that says nothing: %v", err)
			}
		})
	}
	wg.Wait()
	if n := refusedOf(t, cp, "handshakes"); n != more {
		t.Errorf("%d handshakes were refused, want %d", n, more)
	}
	isServed(t, hold(t, cp, owner).conn)
}

func TestFloodOfCallsKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	// Time stands still, so that any flood is a fast one.
	begun := time.Now()
	cp := servertest.Start(t, func(c *server.Config) { c.Now = func() time.Time { return begun } })
	vera, owner := cp.User(t, "vera", fleet.RoleViewer), cp.Owner(t)
	isServed(t, owner)
	var wg sync.WaitGroup
	var refused, served atomic.Int64
	ctx, cancel := context.WithCancel(bounded(t))
	for range 32 {
		wg.Go(func() {
			for ctx.Err() == nil && refused.Load() == 0 {
				_, err := pgharborv1.NewIdentityServiceClient(vera).GetIdentity(ctx, &pgharborv1.GetIdentityRequest{})
				switch status.Code(err) {
				case codes.OK:
					served.Add(1)
				case codes.ResourceExhausted:
					refused.Add(1)
				case codes.Canceled:
				default:
					t.Errorf("a call of the flood: %v", err)
				}
			}
		})
	}
	for range 20 {
		isServed(t, owner)
	}
	wg.Wait()
	cancel()
	if refused.Load() == 0 || served.Load() < int64(admission.Default.Burst) {
		t.Errorf("%d calls were served and %d refused", served.Load(), refused.Load())
	}
	isServed(t, owner)
}

// Strangers send as much as they can, over as many connections as they get: each
// is ended before it takes much memory, and others are served.
func TestAnonymousConnectionsEndBeforeTheyTakeMemory(t *testing.T) {
	t.Parallel()
	cp := servertest.Start(t)
	owner := cp.OwnerDir(t)
	config := pki.ClientConfig(authority(t, cp).Certificate(), func() *tls.Certificate { return nil })
	from := grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(elsewhere)}}).DialContext(ctx, "tcp", address)
	})
	var wg sync.WaitGroup
	for range 2 * admission.Default.AnonymousOfAddress {
		conn, err := grpc.NewClient("passthrough:///"+cp.Address(), grpc.WithTransportCredentials(credentials.NewTLS(config)), from)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		wg.Go(func() {
			_, err := pgharborv1.NewEnrollmentServiceClient(conn).Enroll(bounded(t), &pgharborv1.EnrollRequest{Csr: make([]byte, 2<<20)})
			if status.Code(err) != codes.Unavailable {
				t.Errorf("a huge request of a stranger: %v", err)
			}
		})
	}
	wg.Wait()
	if refusedOf(t, cp, "bytes") == 0 {
		t.Error("nobody was ended for sending too much")
	}
	isServed(t, hold(t, cp, owner).conn)
	// Their places are free again: somebody enrols from the same address.
	conn, err := grpc.NewClient("passthrough:///"+cp.Address(), grpc.WithTransportCredentials(credentials.NewTLS(config)), from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := redeem(bounded(t), conn, cp.InviteAgent(t, "db1")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
