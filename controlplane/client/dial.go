package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

const (
	// What a control plane takes; a page of the inventory stays far below this.
	maxMessageBytes = 4 << 20
	// The health of a fleet is one answer: 500 agents of 20 databases, if all is wrong and each
	// says why.
	maxAnswerBytes = 64 << 20

	// Windows of a size that keeps a transfer of 1 MiB chunks busy, on loopback and
	// over 100 ms at 300 Mbit/s, and that bounds the memory of one that stalls.
	streamWindowBytes = 4 << 20
	connWindowBytes   = 8 << 20
	ioBufferBytes     = 128 << 10

	// KeepaliveInterval is how often a quiet connection with calls under way is
	// probed; a control plane has to allow that.
	KeepaliveInterval = 30 * time.Second
	keepaliveTimeout  = 15 * time.Second
	connectTimeout    = 10 * time.Second
	maxConnectDelay   = 5 * time.Second
)

// Dial makes a connection that presents the identity; it connects when it is first
// used. A proxy of the environment is not used. Calls that the control plane
// refuses because of the certificate fail with UNAUTHENTICATED, although they never
// reached it. The caller closes the connection.
func (i *Identity) Dial(opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return dial(i.address, pki.ClientConfigTrusting(i.Trusted, i.cert.Load), opts...)
}

func dial(address string, config *tls.Config, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	creds := newTransport(config)
	reconnect := backoff.DefaultConfig
	reconnect.MaxDelay = maxConnectDelay
	all := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: KeepaliveInterval, Timeout: keepaliveTimeout}),
		grpc.WithInitialWindowSize(streamWindowBytes),
		grpc.WithInitialConnWindowSize(connWindowBytes),
		grpc.WithReadBufferSize(ioBufferBytes),
		grpc.WithWriteBufferSize(ioBufferBytes),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxAnswerBytes),
			grpc.MaxCallSendMsgSize(maxMessageBytes),
		),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any,
			conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return creds.explain(invoke(ctx, method, req, reply, conn, opts...))
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn,
			method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			stream, err := open(ctx, desc, conn, method, opts...)
			return stream, creds.explain(err)
		}),
	}
	conn, err := grpc.NewClient("dns:///"+address, append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return conn, nil
}

// explain turns "unavailable" into what is the matter, if the handshake knows.
func (t *transport) explain(err error) error {
	if err == nil || status.Code(err) != codes.Unavailable {
		return err
	}
	if cause := t.state.failure.Load(); cause != nil {
		return status.Error(cause.code, cause.text)
	}
	return err
}
