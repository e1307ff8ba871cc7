// Package transfer pairs the agent that sends a sealed file with the person
// who receives it. The bytes go straight from one stream to the other, one
// chunk at a time: a slow reader slows its own sender down and nobody else, and
// memory does not grow with the file.
package transfer

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/chunk"
)

// ErrReceiverGone is what a sender gets when the receiver has left.
var ErrReceiverGone = errors.New("the receiver of the transfer has gone away")

// Broker knows the transfers that are open. Its zero value is ready.
type Broker struct {
	mu   sync.Mutex
	open map[string]*Transfer
}

// Transfer is the way of one file. Its sender and receiver are one goroutine
// each.
type Transfer struct {
	id, instance string
	broker       *Broker
	chunks       chan chunk.Chunk
	claimed      bool // by a sender; under the broker's lock

	announced chan struct{} // closed when the sender has told the manifest
	manifest  []byte        // set before announced is closed

	sent chan struct{} // closed when the sender has finished
	err  error         // the sender's error; set before sent is closed

	gone      chan struct{} // closed when the receiver has left
	leaveOnce sync.Once
}

// Open makes a transfer that the agent of the instance, and only that, can
// send to. The receiver closes it in any case.
func (b *Broker) Open(id, instance string) *Transfer {
	t := &Transfer{
		id: id, instance: instance, broker: b,
		chunks: make(chan chunk.Chunk), announced: make(chan struct{}), sent: make(chan struct{}), gone: make(chan struct{}),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = map[string]*Transfer{}
	}
	b.open[id] = t
	return t
}

// Count returns how many transfers are open.
func (b *Broker) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open)
}

// Claim makes the caller the one sender of a transfer. For another instance's
// agent it is as if there were none: fleet.ErrNotFound.
func (b *Broker) Claim(id, instance string) (*Transfer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.open[id]
	if t == nil || t.instance != instance {
		return nil, fleet.NewProblem(fleet.ErrNotFound, "nobody waits for transfer %q of %s", id, instance)
	}
	if t.claimed {
		return nil, fleet.NewProblem(fleet.ErrConflict, "transfer %s is being sent already", id)
	}
	t.claimed = true
	return t, nil
}

// Claimed reports whether a sender has come, be it done or not.
func (t *Transfer) Claimed() bool {
	t.broker.mu.Lock()
	defer t.broker.mu.Unlock()
	return t.claimed
}

// Announce tells the receiver the manifest of what will be sent. The sender calls
// it once, before it sends.
func (t *Transfer) Announce(manifest []byte) {
	t.manifest = manifest
	close(t.announced)
}

// Manifest waits for what the sender announces; an error as Receive has it.
func (t *Transfer) Manifest(ctx context.Context) ([]byte, error) {
	select {
	case <-t.announced:
		return t.manifest, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Send hands a chunk over and returns once the receiver has taken it. The chunk belongs to the
// receiver then, and is freed if there is an error.
func (t *Transfer) Send(ctx context.Context, c chunk.Chunk) error {
	select {
	case t.chunks <- c:
		return nil
	case <-t.gone:
		c.Free()
		return ErrReceiverGone
	case <-ctx.Done():
		c.Free()
		return context.Cause(ctx)
	}
}

// Finish ends the sending: the receiver gets io.EOF if err is nil, and err otherwise. The sender
// calls it once.
func (t *Transfer) Finish(err error) {
	t.err = err
	close(t.sent)
}

// Receive returns the next chunk, io.EOF after the last one of a sender that
// finished well, or the sender's error. The caller frees the chunk.
func (t *Transfer) Receive(ctx context.Context) (chunk.Chunk, error) {
	select {
	case c := <-t.chunks:
		return c, nil
	case <-t.sent:
		if t.err != nil {
			return chunk.Chunk{}, t.err
		}
		return chunk.Chunk{}, io.EOF
	case <-ctx.Done():
		return chunk.Chunk{}, context.Cause(ctx)
	}
}

// Close is the receiver's end: a sender that still sends gets ErrReceiverGone.
func (t *Transfer) Close() {
	t.leaveOnce.Do(func() {
		t.broker.mu.Lock()
		delete(t.broker.open, t.id)
		t.broker.mu.Unlock()
		close(t.gone)
	})
}
