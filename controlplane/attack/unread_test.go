package attack_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// ask makes a call, and reads nothing of its answer yet.
func ask(t *testing.T, conn *grpc.ClientConn, method string, request any) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(bounded(t), &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(request); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	return stream
}

// slowReader is a VIEWER whose connection takes little that is not asked for.
func slowReader(t *testing.T, h *harbor, name string) *grpc.ClientConn {
	t.Helper()
	identity, err := client.Load(h.Enroll(t, h.InviteUser(t, name, fleet.RoleViewer)))
	if err != nil {
		t.Fatal(err)
	}
	const window = 64 << 10
	conn, err := identity.Dial(grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", h.Address())
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A VIEWER asks for the health of a large fleet again and again, and reads no answer:
// each was kept in memory until its connection ended.
func TestWhoReadsNoAnswersIsGivenNoMore(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	large := databases(2000, strings.Repeat("x", 200)+"-%d")
	connect(t, h.malloryConn, &pgharborv1.Hello{Status: large})
	h.health(t)
	vera := slowReader(t, h, "vera")
	var calls []grpc.ClientStream
	for range 60 {
		calls = append(calls, ask(t, vera, pgharborv1.HealthService_GetHealth_FullMethodName, &pgharborv1.GetHealthRequest{}))
	}
	for _, call := range calls { // before any of them is read
		if _, err := call.Header(); err != nil && status.Code(err) != codes.ResourceExhausted {
			t.Fatal(err)
		}
	}
	answered, refused := 0, 0
	for _, call := range calls {
		var got pgharborv1.GetHealthResponse
		switch err := call.RecvMsg(&got); status.Code(err) {
		case codes.OK:
			answered++
			if err := call.RecvMsg(&got); !errors.Is(err, io.EOF) {
				t.Errorf("an answer ends with %v", err)
			}
		case codes.ResourceExhausted:
			refused++
		default:
			t.Errorf("got %v", err)
		}
	}
	if answered == 0 || refused == 0 {
		t.Errorf("%d answers were given, and %d refused", answered, refused)
	}
	if _, err := pgharborv1.NewHealthServiceClient(vera).GetHealth(bounded(t), &pgharborv1.GetHealthRequest{}); err != nil {
		t.Errorf("once all is read: %v", err)
	}
}

// Nor do many watches hold one each.
func TestAFewWatchesOfOnePersonAreEnough(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	vera := h.User(t, "vera", fleet.RoleViewer)
	for n := range 9 {
		want := codes.OK
		if n == 8 {
			want = codes.ResourceExhausted
		}
		watch := ask(t, vera, pgharborv1.HealthService_WatchHealth_FullMethodName, &pgharborv1.WatchHealthRequest{})
		if err := watch.RecvMsg(&pgharborv1.WatchHealthResponse{}); status.Code(err) != want {
			t.Errorf("watch %d: %v", n, err)
		}
	}
	h.health(t)
}
