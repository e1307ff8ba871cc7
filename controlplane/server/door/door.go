// Package door bounds what one peer can take from a control plane before anything
// looks at what it says: handshakes, connections, bytes and calls. The bounds are
// such that no agent, no person and no fleet behind one address meets them; who
// floods meets them and keeps nobody else out.
package door

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/credentials"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// HandshakeWithin is how long a connection may take until its first call can
// come; a server is to be given it as grpc.ConnectionTimeout.
const HandshakeWithin = 10 * time.Second

// Limits are the bounds of a Door.
type Limits struct {
	// Accepted are all connections of the listener; 0 is any number.
	Accepted int
	// Handshakes under way, in all and from one address.
	Handshakes, HandshakesOfAddress int
	// Strangers are connections without a certificate, in all and from one
	// address; all that they can do is enrol.
	Strangers, StrangersOfAddress int
	// Connections of one agent or one person.
	Connections int
	// StrangerBytes and PersonBytes are what a connection may send, beside a part
	// of what it is sent. A message is in memory before anybody can look at it.
	StrangerBytes, PersonBytes int64
	// UnderWay are the calls of one agent or one person at once. Of a person's, Watches
	// are those that watch the health of the fleet: each may hold an answer that is not
	// read. Of an agent's, Sessions are those that want to be its session: each may hold
	// a message that was not looked at.
	UnderWay, Watches, Sessions int
	// Unread are the bytes of answers that one person has not read, beyond which there
	// is none for them: an answer is in memory until it has left.
	Unread int64
	// Calls a second, and at once, of an agent or a person, and of the strangers of
	// one address.
	Calls, Burst                 int
	StrangerCalls, StrangerBurst int
}

// Default are the limits of a control plane. 500 agents that come back at once
// from one address, because it is that of their network, get in within seconds.
var Default = Limits{
	Handshakes: 512, HandshakesOfAddress: 128,
	Strangers: 256, StrangersOfAddress: 64,
	Connections:   64,
	StrangerBytes: 256 << 10, PersonBytes: 16 << 20,
	UnderWay: 64, Watches: 8, Sessions: 16, Unread: 16 << 20,
	Calls: 100, Burst: 1000,
	StrangerCalls: 10, StrangerBurst: 200,
}

// Door is where connections come in. It is safe for concurrent use.
type Door struct {
	limits     Limits
	accepted   *crowd
	handshakes *crowd
	strangers  *crowd
	known      *crowd
	underWay   *crowd
	watches    *crowd
	sessions   *crowd
	rates      *rates
	unread     unread
	refused    *prometheus.CounterVec
}

// New returns a door whose count of refusals is registered with metrics.
func New(limits Limits, now func() time.Time, metrics prometheus.Registerer) *Door {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgharbor_refused_total", Help: "Connections and calls refused because a peer took more than its share, by what of.",
	}, []string{"of"})
	for _, of := range []string{"handshakes", "connections", "bytes", "messages", "calls", "calls under way", "answers", "descriptors", "http connections", "http requests"} {
		refused.WithLabelValues(of)
	}
	metrics.MustRegister(refused)
	return &Door{
		limits:     limits,
		accepted:   &crowd{most: limits.Accepted},
		handshakes: &crowd{most: limits.Handshakes, mostOfOne: limits.HandshakesOfAddress},
		strangers:  &crowd{most: limits.Strangers, mostOfOne: limits.StrangersOfAddress},
		known:      &crowd{mostOfOne: limits.Connections},
		underWay:   &crowd{mostOfOne: limits.UnderWay},
		watches:    &crowd{mostOfOne: limits.Watches},
		sessions:   &crowd{mostOfOne: limits.Sessions},
		rates:      &rates{limits: limits, now: now},
		unread:     unread{now: now},
		refused:    refused,
	}
}

// Credentials is TLS with the door's bounds.
func (d *Door) Credentials(config *tls.Config) credentials.TransportCredentials {
	return &guarded{TransportCredentials: credentials.NewTLS(config), door: d}
}

// guarded are transport credentials that let in as many as the door does.
type guarded struct {
	credentials.TransportCredentials
	door *Door
}

func (g *guarded) Clone() credentials.TransportCredentials {
	return &guarded{TransportCredentials: g.TransportCredentials.Clone(), door: g.door}
}

func (g *guarded) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	d := g.door
	leave, err := d.handshakes.enter(host(raw.RemoteAddr()))
	if err != nil {
		d.refused.WithLabelValues("handshakes").Inc()
		return nil, nil, err
	}
	conn, info, err := g.TransportCredentials.ServerHandshake(raw)
	leave()
	if err != nil {
		return nil, nil, err
	}
	who, kind := whoIs(info, raw.RemoteAddr())
	enter := d.known.enter
	if kind == "" {
		enter = d.strangers.enter
	}
	if leave, err = enter(who); err != nil {
		d.refused.WithLabelValues("connections").Inc()
		_ = conn.Close() // the refusal is what is told
		return nil, nil, err
	}
	metered := &meteredConn{Conn: conn, most: d.most(kind), tooMuch: d.refused.WithLabelValues("bytes"), leave: sync.OnceFunc(leave)}
	if kind == pki.KindUser {
		d.unread.enter(who, metered)
		metered.leave = sync.OnceFunc(func() { d.unread.leave(who, metered); leave() })
	}
	return metered, info, nil
}

// most is how many bytes a connection may send; 0 is any number: an agent's bytes
// are backups.
func (d *Door) most(kind pki.Kind) int64 {
	switch kind {
	case pki.KindAgent:
		return 0
	case pki.KindUser:
		return d.limits.PersonBytes
	default:
		return d.limits.StrangerBytes
	}
}

// whoIs names a peer by its certificate, or a stranger by its address, with no
// kind. That the certificate still holds was checked in the handshake.
func whoIs(info credentials.AuthInfo, address net.Addr) (who string, kind pki.Kind) {
	if connection, ok := info.(credentials.TLSInfo); ok && len(connection.State.VerifiedChains) > 0 {
		if p, err := pki.FromCertificate(connection.State.PeerCertificates[0]); err == nil {
			return p.String(), p.Kind
		}
	}
	return host(address), ""
}

func host(address net.Addr) string {
	if name, _, err := net.SplitHostPort(address.String()); err == nil {
		return name
	}
	return address.String()
}
