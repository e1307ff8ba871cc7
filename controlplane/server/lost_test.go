package server_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// cutter is a network between a client and a control plane that cuts the
// connection before anything more gets back, once something is so.
type cutter struct {
	address string
	cuts    atomic.Int32
}

// newCutter passes everything on until lose holds; it is asked whenever the
// control plane has sent something. What makes it hold must be true before the
// reply is sent.
func newCutter(t *testing.T, cp *servertest.ControlPlane, lose func() bool) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{address: listener.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", cp.Address())
			if err != nil {
				_ = from.Close()
				continue
			}
			wg.Go(func() { _, _ = io.Copy(to, from); _ = to.Close() })
			wg.Go(func() { c.passBack(from, to, lose) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); wg.Wait() })
	return c
}

func (c *cutter) passBack(client, server net.Conn, lose func() bool) {
	defer client.Close()
	defer server.Close()
	buffer := make([]byte, 16<<10)
	for {
		n, err := server.Read(buffer)
		if n > 0 && lose() {
			c.cuts.Add(1)
			return
		}
		if _, writeErr := client.Write(buffer[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

func TestLostReplyToAnEnrolmentCostsNothing(t *testing.T) {
	cp := servertest.Start(t)
	word := cp.InviteAgent(t, "db1")
	enrolled := func(outcome string) (n int) {
		for _, e := range auditLog(t, cp, "identity.enroll") {
			if e.Target == "agent:db1" && e.Outcome == outcome {
				n++
			}
		}
		return n
	}
	network := newCutter(t, cp, func() bool { return enrolled("succeeded") > 0 })
	through, err := pki.ParseInvite(word)
	if err != nil {
		t.Fatal(err)
	}
	through.Address = network.address
	parent := t.TempDir()
	dir := filepath.Join(parent, "identity")
	if _, err := client.Enroll(bounded(t), dir, through.String()); !strings.Contains(err.Error(), "the same invite") || network.cuts.Load() == 0 {
		t.Fatalf("with the reply cut (%d times): %v", network.cuts.Load(), err)
	}

	// Somebody else can't use what is spent.
	if err := redeem(bounded(t), dialWith(t, cp, nil), word); status.Code(err) != codes.Unauthenticated {
		t.Errorf("another key got %v", err)
	}
	if n := enrolled("denied"); n != 1 {
		t.Errorf("the audit log has %d refusals of the reuse", n)
	}

	// The same attempt again is the same enrolment.
	if _, err := client.Enroll(bounded(t), dir, word); err != nil {
		t.Fatalf("again: %v", err)
	}
	principal, err := pki.FromCertificate(certificateIn(t, dir).Leaf)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range auditLog(t, cp, "identity.enroll") {
		if e.Target == "agent:db1" && e.Outcome == "succeeded" && !strings.Contains(e.Detail, principal.Identity) {
			t.Errorf("the audit log has another enrolment: %+v", e)
		}
	}
	if n := enrolled("succeeded"); n != 2 {
		t.Errorf("the audit log has %d enrolments, want the lost one and its repetition", n)
	}
	who, err := pgharborv1.NewIdentityServiceClient(cp.Dial(t, dir)).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
	if err != nil || who.GetName() != "db1" {
		t.Errorf("it is %v, %v", who, err)
	}
	if rest, _ := filepath.Glob(filepath.Join(parent, ".*")); len(rest) > 0 {
		t.Errorf("left behind: %v", rest)
	}
}

// The reply to a renewal is lost, and the agent is started again before it tries again: it is the
// agent that it was.
func TestLostReplyToARenewalLocksNobodyOut(t *testing.T) {
	cp := servertest.Start(t)
	dir := cp.Enroll(t, cp.InviteAgent(t, "db1"))
	principal, err := pki.FromCertificate(certificateIn(t, dir).Leaf)
	if err != nil {
		t.Fatal(err)
	}
	store, err := catalog.Open(t.Context(), filepath.Join(cp.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	before, err := store.Identities.Holder(t.Context(), principal.Identity)
	if err != nil {
		t.Fatal(err)
	}
	network := newCutter(t, cp, func() bool {
		h, err := store.Identities.Holder(context.Background(), principal.Identity)
		return err == nil && !h.EndsAt.Equal(before.EndsAt)
	})
	identity, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := identity.Dial(grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", network.address)
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	due := identity.RenewAt().Add(time.Minute)
	if renewed, err := identity.RenewIfDue(bounded(t), conn, due); renewed || err == nil || network.cuts.Load() == 0 {
		t.Fatalf("with the reply cut (%d times): renewed %v, %v", network.cuts.Load(), renewed, err)
	}
	running := &holder{dir: dir, identity: identity, conn: cp.Dial(t, dir)}
	for name, h := range map[string]*holder{"as it runs": running, "started again": hold(t, cp, dir)} {
		who, err := pgharborv1.NewIdentityServiceClient(h.conn).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
		if err != nil || who.GetName() != "db1" {
			t.Errorf("%s it is %v, %v", name, who, err)
		}
	}
	again := hold(t, cp, dir)
	if renewed, err := again.identity.RenewIfDue(bounded(t), again.conn, due); err != nil || !renewed {
		t.Errorf("the next renewal: %v, %v", renewed, err)
	}
	if err := isLetIn(t, cp, dir); err != nil {
		t.Errorf("with the renewed certificate: %v", err)
	}
}
