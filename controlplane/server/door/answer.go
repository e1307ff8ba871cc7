package door

import (
	"bytes"
	"net/http"
	"time"
)

// tellWithin is how long an answer may take to be read.
const tellWithin = 30 * time.Second

// answer is what a handler says, kept until its turn is over: who reads slowly, or
// not at all, then holds a connection and no turn.
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

// work has a request worked on when its turn has come; nil where whoever asked has
// left by then.
func (l *Lobby) work(next http.Handler, r *http.Request) *answer {
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
func (l *Lobby) tell(w http.ResponseWriter, r *http.Request, a *answer) {
	defer l.telling(r.RemoteAddr, int64(a.body.Len()))()
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // whoever asked has left
}

// telling notes that a guest has an answer to read, and from then on gives way to
// others as one that asks nothing does. Where the answers that are not read are too
// many bytes, those go that have not been read for the longest time.
func (l *Lobby) telling(address string, bytes int64) (told func()) {
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
		delete(l.guests, slowest)
		l.refused.Inc()
		_ = slowest.Conn.Close() // its server meets the end of it
	}
	this := l.guest(address)
	if this == nil { // it gave way already
		return func() { l.told(&guest{unread: bytes}) }
	}
	this.busy, this.since, this.unread = false, l.now(), bytes
	late := time.AfterFunc(tellWithin, func() { _ = this.Conn.Close() }) // its server meets the end of it
	return func() {
		late.Stop()
		l.told(this)
	}
}

func (l *Lobby) told(g *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unread -= g.unread
	g.unread = 0
}

// guest finds who is there by the address of the connection.
func (l *Lobby) guest(address string) *guest {
	for g := range l.guests {
		if g.Conn.RemoteAddr().String() == address {
			return g
		}
	}
	return nil
}

// slowest is who has had an answer to read for the longest time.
func (l *Lobby) slowest() (slowest *guest) {
	for g := range l.guests {
		if g.unread > 0 && (slowest == nil || g.since.Before(slowest.since)) {
			slowest = g
		}
	}
	return slowest
}
