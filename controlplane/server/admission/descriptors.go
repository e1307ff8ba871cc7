package admission

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// reservedDescriptors stay for the catalog, the keys, the log and what goes out:
	// no connection gets them.
	reservedDescriptors = 128
	// fewestDescriptors are those with which a control plane still serves somebody.
	fewestDescriptors = 64
)

// Descriptors is how many connections this process may have at once, and still
// have enough descriptors for its own files.
func Descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<20 {
		return 1 << 20
	}
	return max(int(limit.Cur)-reservedDescriptors, fewestDescriptors)
}

// Share divides the connections of a process between those with certificates, who
// always have a part of them, and everybody else.
func Share(connections int) (Limits, HTTPLimits) {
	limits, httpLimits := Default, DefaultHTTP
	limits.Accepted = connections
	httpLimits.Connections = min(httpLimits.Connections, connections/8)
	httpLimits.ConnectionsOfAddress = min(httpLimits.ConnectionsOfAddress, connections/16)
	limits.Accepted -= httpLimits.Connections
	limits.Handshakes = min(limits.Handshakes, limits.Accepted/4)
	limits.HandshakesOfAddress = min(limits.HandshakesOfAddress, limits.Handshakes/4)
	limits.Anonymous = min(limits.Anonymous, limits.Accepted/4)
	limits.AnonymousOfAddress = min(limits.AnonymousOfAddress, limits.Anonymous/4)
	return limits, httpLimits
}

// Listen bounds the connections of a listener in all, before their handshake.
func (d *Controller) Listen(listener net.Listener) net.Listener {
	return &boundedListener{Listener: listener, admission: d}
}

type boundedListener struct {
	net.Listener
	admission *Controller
}

func (e *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := e.Listener.Accept()
		if err != nil {
			return nil, err
		}
		release, err := e.admission.accepted.acquire("")
		if err == nil {
			return &countedConn{Conn: conn, release: sync.OnceFunc(release)}, nil
		}
		e.admission.refused.WithLabelValues("descriptors").Inc()
		_ = conn.Close() // nothing was sent to it yet
	}
}

// countedConn releases its slot once.
type countedConn struct {
	net.Conn
	release func()
}

func (c *countedConn) Close() error {
	c.release()
	return c.Conn.Close()
}
