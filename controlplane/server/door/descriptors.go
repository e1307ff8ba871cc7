package door

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// reservedDescriptors stay for the catalog, the keys, the log and what goes out:
	// whoever connects gets none of them.
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
func Share(connections int) (Limits, LobbyLimits) {
	limits, lobby := Default, DefaultLobby
	limits.Accepted = connections
	lobby.Connections = min(lobby.Connections, connections/8)
	lobby.ConnectionsOfAddress = min(lobby.ConnectionsOfAddress, connections/16)
	limits.Accepted -= lobby.Connections
	limits.Handshakes = min(limits.Handshakes, limits.Accepted/4)
	limits.HandshakesOfAddress = min(limits.HandshakesOfAddress, limits.Handshakes/4)
	limits.Strangers = min(limits.Strangers, limits.Accepted/4)
	limits.StrangersOfAddress = min(limits.StrangersOfAddress, limits.Strangers/4)
	return limits, lobby
}

// Listen bounds the connections of a listener in all, before their handshake.
func (d *Door) Listen(listener net.Listener) net.Listener {
	return &entrance{Listener: listener, door: d}
}

type entrance struct {
	net.Listener
	door *Door
}

func (e *entrance) Accept() (net.Conn, error) {
	for {
		conn, err := e.Listener.Accept()
		if err != nil {
			return nil, err
		}
		leave, err := e.door.accepted.enter("")
		if err == nil {
			return &countedConn{Conn: conn, leave: sync.OnceFunc(leave)}, nil
		}
		e.door.refused.WithLabelValues("descriptors").Inc()
		_ = conn.Close() // it was told nothing yet
	}
}

// countedConn gives its place up once.
type countedConn struct {
	net.Conn
	leave func()
}

func (c *countedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
