package admission

import (
	"bytes"
	"net/http"
	"time"
)

// tellWithin is how long an answer may take to be read.
const tellWithin = 30 * time.Second

// answer buffers what a handler writes until its turn is over, so that a client that reads slowly,
// or not at all, holds a connection but no turn.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// work handles a request when its turn has come. It returns nil if the client has gone by then.
func (l *HTTPListener) work(next http.Handler, r *http.Request) *answer {
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-r.Context().Done():
		return nil
	}
	a := &answer{header: http.Header{}}
	next.ServeHTTP(a, r)
	a.WriteHeader(http.StatusOK)
	return a
}

// tell sends an answer, in a time that is bounded.
func (l *HTTPListener) tell(w http.ResponseWriter, r *http.Request, a *answer) {
	defer l.telling(r.RemoteAddr, int64(a.body.Len()))()
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // the client has gone
}

// telling records that a client has an answer to read; from then on its connection counts as idle.
// If too many bytes of answers are unread, the ones that have waited for the longest time are
// dropped.
func (l *HTTPListener) telling(address string, bytes int64) (told func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unread += bytes
	for l.unread > l.limits.Unread {
		slowest := l.slowest()
		if slowest == nil {
			break // it is this answer alone
		}
		l.unread -= slowest.unread
		slowest.unread = 0
		delete(l.conns, slowest)
		l.refused.Inc()
		_ = slowest.Conn.Close() // its server meets the end of it
	}
	this := l.conn(address)
	if this == nil { // it was closed already
		return func() { l.told(&httpConn{unread: bytes}) }
	}
	this.busy, this.since, this.unread = false, l.now(), bytes
	late := time.AfterFunc(tellWithin, func() { _ = this.Conn.Close() }) // its server meets the end of it
	return func() {
		late.Stop()
		l.told(this)
	}
}

func (l *HTTPListener) told(g *httpConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unread -= g.unread
	g.unread = 0
}

// conn finds a connection by its remote address.
func (l *HTTPListener) conn(address string) *httpConn {
	for g := range l.conns {
		if g.Conn.RemoteAddr().String() == address {
			return g
		}
	}
	return nil
}

// slowest is the connection that has had an answer to read for the longest time.
func (l *HTTPListener) slowest() (slowest *httpConn) {
	for g := range l.conns {
		if g.unread > 0 && (slowest == nil || g.since.Before(slowest.since)) {
			slowest = g
		}
	}
	return slowest
}
