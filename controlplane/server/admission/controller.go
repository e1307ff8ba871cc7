// Package admission limits what one peer can take from a control plane before its messages are
// read: handshakes, connections, bytes and calls. No agent, no person and no fleet behind one
// address reaches the limits in normal use. A peer that floods reaches them, and locks nobody else
// out.
package admission

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/credentials"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// HandshakeWithin is how long a connection may take until its first call can come. Pass it to the
// server as grpc.ConnectionTimeout.
const HandshakeWithin = 10 * time.Second

// Limits are the limits of a Controller.
type Limits struct {
	// Accepted are all connections of the listener; 0 is any number.
	Accepted int
	// Handshakes under way, in all and from one address.
	Handshakes, HandshakesOfAddress int
	// Anonymous are connections without a certificate, in all and from one address. They can only
	// enrol.
	Anonymous, AnonymousOfAddress int
	// Connections of one agent or one person.
	Connections int
	// AnonymousBytes and PersonBytes are what a connection may send, plus a share of what it is
	// sent. A whole message is in memory before it can be checked.
	AnonymousBytes, PersonBytes int64
	// UnderWay are the calls of one agent or one person at once. Watches are a person's calls that
	// watch the health of the fleet: each may hold an answer that is not read. Sessions are an
	// agent's calls that ask to be its session: each may hold a message that is not checked yet.
	UnderWay, Watches, Sessions int
	// Unread are the bytes of answers that one person has not read. Above it they get no further
	// answer: an answer is in memory until it is sent.
	Unread int64
	// Calls a second, and at once, of an agent or a person, and of the anonymous peers of one
	// address.
	Calls, Burst                   int
	AnonymousCalls, AnonymousBurst int
}

// Default are the limits of a control plane. 500 agents that come back at once
// from one address, because it is that of their network, get in within seconds.
var Default = Limits{
	Handshakes: 512, HandshakesOfAddress: 128,
	Anonymous: 256, AnonymousOfAddress: 64,
	Connections:    64,
	AnonymousBytes: 256 << 10, PersonBytes: 16 << 20,
	UnderWay: 64, Watches: 8, Sessions: 16, Unread: 16 << 20,
	Calls: 100, Burst: 1000,
	AnonymousCalls: 10, AnonymousBurst: 200,
}

// Controller decides which connections and calls are admitted. It is safe for concurrent use.
type Controller struct {
	limits     Limits
	accepted   *limiter
	handshakes *limiter
	anonymous  *limiter
	known      *limiter
	underWay   *limiter
	watches    *limiter
	sessions   *limiter
	rates      *rates
	unread     unread
	refused    *prometheus.CounterVec
}

// New returns a controller whose count of refusals is registered with metrics.
func New(limits Limits, now func() time.Time, metrics prometheus.Registerer) *Controller {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgharbor_refused_total", Help: "Connections and calls refused because a peer took more than its share, by what of.",
	}, []string{"of"})
	for _, of := range []string{"handshakes", "connections", "bytes", "messages", "calls", "calls under way", "answers", "descriptors", "http connections", "http requests"} {
		refused.WithLabelValues(of)
	}
	metrics.MustRegister(refused)
	return &Controller{
		limits:     limits,
		accepted:   &limiter{most: limits.Accepted},
		handshakes: &limiter{most: limits.Handshakes, mostOfOne: limits.HandshakesOfAddress},
		anonymous:  &limiter{most: limits.Anonymous, mostOfOne: limits.AnonymousOfAddress},
		known:      &limiter{mostOfOne: limits.Connections},
		underWay:   &limiter{mostOfOne: limits.UnderWay},
		watches:    &limiter{mostOfOne: limits.Watches},
		sessions:   &limiter{mostOfOne: limits.Sessions},
		rates:      &rates{limits: limits, now: now},
		unread:     unread{now: now},
		refused:    refused,
	}
}

// Credentials is TLS within the controller's limits.
func (d *Controller) Credentials(config *tls.Config) credentials.TransportCredentials {
	return &guarded{TransportCredentials: credentials.NewTLS(config), admission: d}
}

// guarded are transport credentials that admit no more than the controller does.
type guarded struct {
	credentials.TransportCredentials
	admission *Controller
}

func (g *guarded) Clone() credentials.TransportCredentials {
	return &guarded{TransportCredentials: g.TransportCredentials.Clone(), admission: g.admission}
}

func (g *guarded) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	d := g.admission
	release, err := d.handshakes.acquire(host(raw.RemoteAddr()))
	if err != nil {
		d.refused.WithLabelValues("handshakes").Inc()
		return nil, nil, err
	}
	conn, info, err := g.TransportCredentials.ServerHandshake(raw)
	release()
	if err != nil {
		return nil, nil, err
	}
	who, kind := whoIs(info, raw.RemoteAddr())
	acquire := d.known.acquire
	if kind == "" {
		acquire = d.anonymous.acquire
	}
	if release, err = acquire(who); err != nil {
		d.refused.WithLabelValues("connections").Inc()
		_ = conn.Close() // the caller gets the refusal
		return nil, nil, err
	}
	metered := &meteredConn{Conn: conn, most: d.most(kind), tooMuch: d.refused.WithLabelValues("bytes"), release: sync.OnceFunc(release)}
	if kind == pki.KindUser {
		d.unread.add(who, metered)
		metered.release = sync.OnceFunc(func() { d.unread.release(who, metered); release() })
	}
	return metered, info, nil
}

// most is how many bytes a connection may send; 0 is any number. An agent has no limit: it sends
// backups.
func (d *Controller) most(kind pki.Kind) int64 {
	switch kind {
	case pki.KindAgent:
		return 0
	case pki.KindUser:
		return d.limits.PersonBytes
	default:
		return d.limits.AnonymousBytes
	}
}

// whoIs names a peer by its certificate, or an anonymous one by its address, with no kind. The
// handshake has already checked that the certificate is valid.
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
