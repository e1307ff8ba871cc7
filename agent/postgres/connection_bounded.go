package postgres

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// maxMessage bounds one message of a server that is not to be trusted: a row of names, or an error.
const maxMessage = 16 << 20

// ErrAnswers reports that a server that is not to be trusted answered with more than the bound.
var ErrAnswers = errors.New("the server answers with more than it was asked for")

// boundAnswers makes a session end with an error that is told too much, before that takes the memory of the host.
func boundAnswers(config *pgconn.Config, limit int64) {
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &boundedConn{Conn: conn, left: limit}, nil
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		frontend := pgproto3.NewFrontend(r, w)
		frontend.SetMaxBodyLen(maxMessage)
		return frontend
	}
}

// boundedConn fails once a number of bytes was read.
type boundedConn struct {
	net.Conn
	left int64
}

// Read implements net.Conn.
func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, ErrAnswers
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
