package door

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// errCrowded refuses one more of a peer, or of all.
var errCrowded = errors.New("too many at once")

// crowd counts who is there; a bound of 0 is none.
type crowd struct {
	most, mostOfOne int

	mu    sync.Mutex
	total int
	of    map[string]int
}

// enter admits one more of a peer until leave, or returns errCrowded.
func (c *crowd) enter(who string) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && c.total >= c.most || c.mostOfOne > 0 && c.of[who] >= c.mostOfOne {
		return nil, errCrowded
	}
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.total++
	c.of[who]++
	return func() { c.leave(who) }, nil
}

func (c *crowd) leave(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.of[who]--; c.of[who] == 0 {
		delete(c.of, who)
	}
}

// errTooMuch ends a connection that has sent more than its peer can have to say.
var errTooMuch = errors.New("the connection has sent too much")

// shareOfSent is the part of what a peer was sent that it may send beyond its
// bound: a long download is answered with a stream of small acknowledgements.
const shareOfSent = 64

// meteredConn bounds what is read of a connection, and gives its place up once.
type meteredConn struct {
	net.Conn
	most       int64 // bytes; 0 is no bound
	read, sent atomic.Int64
	tooMuch    prometheus.Counter
	leave      func()
}

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.most > 0 && c.read.Add(int64(n)) > c.most+c.sent.Load()/shareOfSent {
		c.tooMuch.Inc()
		return 0, errTooMuch
	}
	return n, err
}

func (c *meteredConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

func (c *meteredConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
