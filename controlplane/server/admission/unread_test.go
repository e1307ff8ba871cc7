package admission

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// somewhere is a connection from an address, which nothing is written to.
type somewhere struct {
	net.Conn
	port   int
	closed bool
}

func (s *somewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv6loopback, Port: s.port} }
func (s *somewhere) Close() error         { s.closed = true; return nil }

func TestAnswersThatAreNotReadAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	u := &unread{now: func() time.Time { return now }}
	conn := func(who string, port int) *meteredConn {
		c := &meteredConn{Conn: &somewhere{port: port}, release: func() {}}
		u.add(who, c)
		return c
	}
	first, second, other := conn("user:vera", 1), conn("user:vera", 2), conn("user:olga", 3)
	first.sent.Store(1000) // what was read before is no room for more
	answers := func(c *meteredConn, who string, want bool) {
		t.Helper()
		if got := u.answer(who, c.RemoteAddr(), 60, 100); got != want {
			t.Errorf("an answer to %s is given: %t", who, got)
		}
	}
	answers(first, "user:vera", true)
	answers(second, "user:vera", true)
	answers(first, "user:vera", false)
	answers(second, "user:vera", false)
	answers(other, "user:olga", true)
	if u.stuck("user:vera") != nil {
		t.Error("a connection is in the way at once")
	}
	now = now.Add(readWithin)
	if u.stuck("user:vera") == nil {
		t.Error("no connection is in the way for ever")
	}
	first.sent.Add(60)
	answers(first, "user:vera", true)
	answers(first, "user:vera", false)
	u.release("user:vera", second)
	answers(first, "user:vera", true)
	u.release("user:vera", first)
	u.release("user:olga", other)
	if len(u.of) != 0 {
		t.Errorf("who has left is still known: %v", u.of)
	}
}

func TestCallsUnderWayAreBounded(t *testing.T) {
	d := New(Default, time.Now, prometheus.NewRegistry())
	begin := func(ctx context.Context, who, method string, most int) (n int) {
		t.Helper()
		for range 2 * Default.UnderWay {
			switch err := d.begin(ctx, who, method); status.Code(err) {
			case codes.OK:
				n++
			case codes.ResourceExhausted:
			default:
				t.Errorf("got %v", err)
			}
		}
		if n != most {
			t.Errorf("%s has %d calls of %s", who, n, method)
		}
		return n
	}
	ctx, end := context.WithCancel(t.Context())
	watch, get := pgharborv1.HealthService_WatchHealth_FullMethodName, pgharborv1.HealthService_GetHealth_FullMethodName
	begin(ctx, "user:vera", watch, Default.Watches)
	begin(ctx, "user:vera", get, Default.UnderWay-Default.Watches)
	begin(t.Context(), "user:olga", get, Default.UnderWay)
	connect, upload := pgharborv1.SessionService_Connect_FullMethodName, pgharborv1.TransferService_Upload_FullMethodName
	begin(t.Context(), "agent:shop", connect, Default.Sessions)
	begin(t.Context(), "agent:shop", upload, Default.UnderWay-Default.Sessions)
	end()
	for deadline := time.After(10 * time.Second); ; {
		if release, err := d.underWay.acquire("user:vera"); err == nil {
			release()
			break
		}
		select {
		case <-deadline:
			t.Fatal(fmt.Errorf("calls that have ended are still under way: %v", d.underWay.of))
		default:
		}
	}
}
