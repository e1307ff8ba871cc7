package admission

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HTTPLimits are the limits of an HTTPListener.
type HTTPLimits struct {
	// Connections in all and from one address.
	Connections, ConnectionsOfAddress int
	// Requests a second, and at once, from one address.
	Requests, Burst int
	// Working is how many requests are handled at once; others wait for their turn.
	Working int
	// Unread are the bytes of the answers that are not read yet.
	Unread int64
}

// DefaultHTTP are the limits of the listener for monitoring: few clients with few requests, all
// from one address if they come through a proxy.
var DefaultHTTP = HTTPLimits{Connections: 256, ConnectionsOfAddress: 64, Requests: 20, Burst: 200, Working: 8, Unread: 64 << 20}

// HTTPListener is an HTTP listener for clients without a certificate. If there are too many
// connections, it closes the one that has been idle, or has not read its answer, for the longest
// time. So a client that only holds connections open keeps nobody out, and does not use up the file
// descriptors that the rest of the control plane needs. It is safe for concurrent use.
type HTTPListener struct {
	net.Listener
	limits   HTTPLimits
	rates    *rates
	now      func() time.Time
	refused  prometheus.Counter // connections
	requests prometheus.Counter // that were refused
	turns    chan struct{}

	mu     sync.Mutex
	conns  map[*httpConn]bool
	unread int64 // bytes, of all connections
}

// httpConn is a connection of an HTTPListener.
type httpConn struct {
	net.Conn
	listener *HTTPListener
	address  string
	busy     bool      // a request is under way
	since    time.Time // when busy last changed
	unread   int64     // bytes of an answer that the client has not read yet
}

// HTTPListener wraps a listener. Give its ConnState to the http.Server, and wrap the server's
// handler in its Handler.
func (d *Controller) HTTPListener(listener net.Listener, limits HTTPLimits, now func() time.Time) *HTTPListener {
	return &HTTPListener{
		Listener: listener, limits: limits, now: now, conns: map[*httpConn]bool{}, turns: make(chan struct{}, limits.Working),
		rates:   &rates{limits: Limits{AnonymousCalls: limits.Requests, AnonymousBurst: limits.Burst}, now: now},
		refused: d.refused.WithLabelValues("http connections"), requests: d.refused.WithLabelValues("http requests"),
	}
}

// Accept implements net.Listener. It closes a connection that can't be admitted, and waits for the
// next one.
func (l *HTTPListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := l.admit(conn); g != nil {
			return g, nil
		}
		l.refused.Inc()
		_ = conn.Close() // nothing was sent to it yet
	}
}

func (l *HTTPListener) admit(conn net.Conn) *httpConn {
	g := &httpConn{Conn: conn, listener: l, address: host(conn.RemoteAddr()), since: l.now()}
	l.mu.Lock()
	var gone []*httpConn
	room := l.makeRoom(l.limits.ConnectionsOfAddress, func(other *httpConn) bool { return other.address == g.address }, &gone) &&
		l.makeRoom(l.limits.Connections, func(*httpConn) bool { return true }, &gone)
	if room {
		l.conns[g] = true
	}
	l.mu.Unlock()
	for _, other := range gone {
		l.refused.Inc()
		_ = other.Conn.Close() // its server meets the end of it
	}
	if !room {
		return nil
	}
	return g
}

// makeRoom removes the longest idle of a kind of connections if there are most of them or more. The
// caller closes those in gone. It returns false if all of them are busy.
func (l *HTTPListener) makeRoom(most int, is func(*httpConn) bool, gone *[]*httpConn) bool {
	count := 0
	var longestIdle *httpConn
	for g := range l.conns {
		if !is(g) {
			continue
		}
		count++
		if !g.busy && (longestIdle == nil || g.since.Before(longestIdle.since)) {
			longestIdle = g
		}
	}
	if count < most {
		return true
	}
	if longestIdle == nil {
		return false
	}
	delete(l.conns, longestIdle)
	*gone = append(*gone, longestIdle)
	return true
}

// ConnState is for http.Server's ConnState.
func (l *HTTPListener) ConnState(conn net.Conn, state http.ConnState) {
	g, ok := conn.(*httpConn)
	if !ok || state != http.StateActive && state != http.StateIdle {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g.busy, g.since = state == http.StateActive, l.now()
}

// Close also frees the connection's slot.
func (g *httpConn) Close() error {
	g.listener.mu.Lock()
	delete(g.listener.conns, g)
	g.listener.mu.Unlock()
	return g.Conn.Close()
}

// Handler limits how often one address asks, and how many requests are handled at once.
func (l *HTTPListener) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			address = r.RemoteAddr
		}
		if !l.rates.allow(address, "") {
			l.requests.Inc()
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests: wait a moment, and ask less often", http.StatusTooManyRequests)
			return
		}
		if answer := l.work(next, r); answer != nil {
			l.tell(w, r, answer)
		}
	})
}
