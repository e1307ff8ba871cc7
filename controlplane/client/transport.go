package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// transport is gRPC's TLS that knows why a handshake failed. In TLS 1.3 a client is
// done before the server has seen its certificate, so a refusal arrives with the
// first read, if a write has not failed first and hidden it. Hence a connection
// counts as made only when the server's first byte (its HTTP/2 settings, which it
// sends unasked) has come.
type transport struct {
	credentials.TransportCredentials
	state *transportState
}

type transportState struct {
	// failure is nil after a handshake that went well, or failed otherwise.
	failure atomic.Pointer[handshakeFailure]
}

type handshakeFailure struct {
	code codes.Code
	text string
}

func newTransport(config *tls.Config) *transport {
	return &transport{TransportCredentials: credentials.NewTLS(config), state: &transportState{}}
}

func (t *transport) Clone() credentials.TransportCredentials {
	return &transport{TransportCredentials: t.TransportCredentials.Clone(), state: t.state}
}

func (t *transport) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		t.state.failure.Store(wrongServer(err))
		return nil, nil, err
	}
	greeted, err := awaitGreeting(ctx, conn)
	if err != nil {
		t.state.failure.Store(refused(err))
		return nil, nil, errors.Join(err, conn.Close())
	}
	t.state.failure.Store(nil)
	return greeted, info, nil
}

func wrongServer(err error) *handshakeFailure {
	if errors.Is(err, pki.ErrWrongServer) {
		return &handshakeFailure{codes.Unavailable, err.Error()}
	}
	return nil
}

// refused is for an alert after the handshake, of which the certificate is the only
// cause.
func refused(err error) *handshakeFailure {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return &handshakeFailure{codes.Unauthenticated,
			"the control plane refuses this certificate: it was revoked or has expired (" + op.Err.Error() + ")"}
	}
	return nil
}

// greetedConn gives back the byte that was read ahead.
type greetedConn struct {
	net.Conn
	ahead []byte
}

func awaitGreeting(ctx context.Context, conn net.Conn) (*greetedConn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	ahead := make([]byte, 1)
	_, err := conn.Read(ahead)
	if !stop() {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return &greetedConn{Conn: conn, ahead: ahead}, nil
}

func (c *greetedConn) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}
