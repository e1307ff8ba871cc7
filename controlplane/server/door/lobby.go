package door

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LobbyLimits are the bounds of a Lobby.
type LobbyLimits struct {
	// Connections in all and from one address.
	Connections, ConnectionsOfAddress int
	// Requests a second, and at once, from one address.
	Requests, Burst int
	// Working is how many requests are worked on at once; others wait for their turn.
	Working int
	// Unread are the bytes of the answers that are not read yet.
	Unread int64
}

// DefaultLobby are the limits of the listener for watchers: few of them, who ask
// little, and all from one address where they come through a proxy.
var DefaultLobby = LobbyLimits{Connections: 256, ConnectionsOfAddress: 64, Requests: 20, Burst: 200, Working: 8, Unread: 64 << 20}

// Lobby is an HTTP listener for whoever comes, without a certificate. Where there
// are too many connections, the one that has asked nothing, or has not read its
// answer, for the longest time gives way to the newcomer, so that who only holds
// connections open keeps nobody out, nor takes the descriptors that the rest of the control plane needs. It is
// safe for concurrent use.
type Lobby struct {
	net.Listener
	limits   LobbyLimits
	rates    *rates
	now      func() time.Time
	refused  prometheus.Counter // connections
	requests prometheus.Counter // that were refused
	turns    chan struct{}

	mu     sync.Mutex
	guests map[*guest]bool
	unread int64 // bytes, of all guests
}

// guest is a connection of a lobby.
type guest struct {
	net.Conn
	lobby   *Lobby
	address string
	busy    bool      // it is asking something
	since   time.Time // when that last changed
	unread  int64     // bytes of an answer that it has yet to read
}

// Lobby makes one of a listener. Its server is to be given Note as ConnState, and
// Guard around its handler.
func (d *Door) Lobby(listener net.Listener, limits LobbyLimits, now func() time.Time) *Lobby {
	return &Lobby{
		Listener: listener, limits: limits, now: now, guests: map[*guest]bool{}, turns: make(chan struct{}, limits.Working),
		rates:   &rates{limits: Limits{StrangerCalls: limits.Requests, StrangerBurst: limits.Burst}, now: now},
		refused: d.refused.WithLabelValues("http connections"), requests: d.refused.WithLabelValues("http requests"),
	}
}

// Accept implements net.Listener. Who can't be let in is sent away, and the next
// one is waited for.
func (l *Lobby) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := l.enter(conn); g != nil {
			return g, nil
		}
		l.refused.Inc()
		_ = conn.Close() // it was told nothing yet
	}
}

func (l *Lobby) enter(conn net.Conn) *guest {
	g := &guest{Conn: conn, lobby: l, address: host(conn.RemoteAddr()), since: l.now()}
	l.mu.Lock()
	var gone []*guest
	room := l.makeRoom(l.limits.ConnectionsOfAddress, func(other *guest) bool { return other.address == g.address }, &gone) &&
		l.makeRoom(l.limits.Connections, func(*guest) bool { return true }, &gone)
	if room {
		l.guests[g] = true
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

// makeRoom sees to it that fewer than most guests are of a kind; the caller closes
// those that are gone. It returns false where all of them are busy.
func (l *Lobby) makeRoom(most int, is func(*guest) bool, gone *[]*guest) bool {
	count := 0
	var idlest *guest
	for g := range l.guests {
		if !is(g) {
			continue
		}
		count++
		if !g.busy && (idlest == nil || g.since.Before(idlest.since)) {
			idlest = g
		}
	}
	if count < most {
		return true
	}
	if idlest == nil {
		return false
	}
	delete(l.guests, idlest)
	*gone = append(*gone, idlest)
	return true
}

// Note is told of the states of the connections, as http.Server's ConnState.
func (l *Lobby) Note(conn net.Conn, state http.ConnState) {
	g, ok := conn.(*guest)
	if !ok || state != http.StateActive && state != http.StateIdle {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g.busy, g.since = state == http.StateActive, l.now()
}

// Close gives the place up.
func (g *guest) Close() error {
	g.lobby.mu.Lock()
	delete(g.lobby.guests, g)
	g.lobby.mu.Unlock()
	return g.Conn.Close()
}

// Guard bounds how often one address asks, and how many requests are worked on at
// once.
func (l *Lobby) Guard(next http.Handler) http.Handler {
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
