package admission

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// errTooMany reports that a limiter is full, for one peer or for all.
var errTooMany = errors.New("too many at once")

// limiter limits how many there are at once, in all and of one peer; 0 is no limit.
type limiter struct {
	most, mostOfOne int

	mu    sync.Mutex
	total int
	of    map[string]int
}

// acquire admits one more of a peer until release is called, or returns errTooMany.
func (c *limiter) acquire(who string) (release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && c.total >= c.most || c.mostOfOne > 0 && c.of[who] >= c.mostOfOne {
		return nil, errTooMany
	}
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.total++
	c.of[who]++
	return func() { c.release(who) }, nil
}

func (c *limiter) release(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.of[who]--; c.of[who] == 0 {
		delete(c.of, who)
	}
}

// errTooMuch ends a connection that has sent more than its limit.
var errTooMuch = errors.New("the connection has sent too much")

// shareOfSent lets a peer send this share of what it was sent above its limit: the client
// acknowledges a long download with many small frames.
const shareOfSent = 64

// meteredConn limits how much is read from a connection, and releases its slot once.
type meteredConn struct {
	net.Conn
	most       int64 // bytes; 0 is no limit
	read, sent atomic.Int64
	tooMuch    prometheus.Counter
	release    func()
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
	c.release()
	return c.Conn.Close()
}
