package admission

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

const largeAnswer = 16 << 20 // more than the buffers of a connection

// askAndNotRead asks for a large answer and reads no more of it than its beginning.
func askAndNotRead(t *testing.T, l *HTTPListener, from string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprint(conn, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// begun waits for the first byte of an answer.
func begun(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestWhoReadsNothingHoldsNoTurn(t *testing.T) {
	l, _, _ := listenHTTP(t, HTTPLimits{Connections: 32, ConnectionsOfAddress: 16, Requests: 1000, Burst: 1000, Working: 2, Unread: 1 << 30})
	for range 8 {
		begun(t, askAndNotRead(t, l, "127.0.0.2"))
	}
	for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
		if code, err := ask(t, l, from, "/"); err != nil || code != http.StatusOK {
			t.Errorf("from %s: %d, %v", from, code, err)
		}
	}
}

// Nor a place, nor more memory than all of them may.
func TestWhoReadsNothingGivesWay(t *testing.T) {
	for name, limits := range map[string]HTTPLimits{
		"to connections": {Connections: 4, ConnectionsOfAddress: 4, Requests: 1000, Burst: 1000, Working: 2, Unread: 1 << 30},
		"to answers":     {Connections: 32, ConnectionsOfAddress: 32, Requests: 1000, Burst: 1000, Working: 2, Unread: 4*largeAnswer + 1},
	} {
		t.Run(name, func(t *testing.T) {
			l, _, _ := listenHTTP(t, limits)
			var all []net.Conn
			for range 8 {
				conn := askAndNotRead(t, l, "127.0.0.2")
				begun(t, conn)
				all = append(all, conn)
			}
			if code, err := ask(t, l, "127.0.0.2", "/"); err != nil || code != http.StatusOK {
				t.Errorf("who comes: %d, %v", code, err)
			}
			whole := 0
			for n, conn := range all {
				if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				got, err := io.Copy(io.Discard, io.LimitReader(conn, largeAnswer))
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("connection %d does not end", n)
				}
				if got == largeAnswer {
					whole++
				}
			}
			if whole < 3 || whole > 4 {
				t.Errorf("%d of 8 answers are still there", whole)
			}
		})
	}
}
