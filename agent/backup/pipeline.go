package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"sync"
	"sync/atomic"
)

const (
	// blockSize is the size of the pieces in which a stream goes through the pipeline: large enough that handing one on
	// costs nothing, small enough to stay in the processor's cache.
	blockSize = 256 << 10
	// blockCount bounds the memory of one stream.
	blockCount = 8
)

// block is a piece of a stream that several goroutines read at a time.
type block struct {
	buffer []byte // of blockSize
	data   []byte // the part of it that is filled
	users  atomic.Int32
}

// distribute reads src to its end and writes all of it to every sink, each of which has a goroutine of its own. It
// returns when all are done. The first error ends everything: stop is called with it, to end what src waits for.
func distribute(ctx context.Context, stop func(error), src io.Reader, read func(n int), sinks ...io.Writer) error {
	free := make(chan *block, blockCount)
	for range blockCount {
		free <- &block{buffer: make([]byte, blockSize)}
	}
	var (
		wait   sync.WaitGroup
		once   sync.Once
		failed = make(chan struct{})
		first  error
	)
	fail := func(err error) {
		once.Do(func() { first = err; stop(err); close(failed) })
	}
	queues := make([]chan *block, len(sinks))
	for n, sink := range sinks {
		queues[n] = make(chan *block, blockCount)
		wait.Go(func() { drain(queues[n], sink, free, fail) })
	}
	if err := fill(ctx, src, read, free, queues, failed); err != nil {
		fail(err)
	}
	for _, queue := range queues {
		close(queue)
	}
	wait.Wait()
	return first
}

// fill reads src into blocks and queues them for every sink.
func fill(ctx context.Context, src io.Reader, read func(int), free chan *block, queues []chan *block, failed chan struct{}) error {
	for {
		var b *block
		select {
		case b = <-free:
		case <-failed:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		n, err := readFull(src, b.buffer)
		read(n)
		b.data = b.buffer[:n]
		b.users.Store(int32(len(queues)))
		for _, queue := range queues {
			queue <- b // has room for all blocks that there are
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// drain writes queued blocks to a sink. After an error it goes on to take them, so that nobody waits for it.
func drain(queue chan *block, sink io.Writer, free chan *block, fail func(error)) {
	broken := false
	for b := range queue {
		if !broken {
			if _, err := sink.Write(b.data); err != nil {
				broken = true
				fail(err)
			}
		}
		if b.users.Add(-1) == 0 {
			free <- b
		}
	}
}

// readFull reads until the buffer is full or src ends. Unlike io.ReadFull it returns src's own error with what it read.
func readFull(src io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = src.Read(buffer[n:])
		n += more
	}
	return n, err
}

// meter counts and hashes what goes through it.
type meter struct {
	next io.Writer
	hash hash.Hash
	size int64
}

func newMeter(next io.Writer) *meter { return &meter{next: next, hash: sha256.New()} }

// Write implements io.Writer.
func (m *meter) Write(p []byte) (int, error) {
	n, err := m.next.Write(p)
	m.hash.Write(p[:n])
	m.size += int64(n)
	return n, err
}

// sum is the SHA-256 of what went through, in lower-case hexadecimal.
func (m *meter) sum() string { return hex.EncodeToString(m.hash.Sum(nil)) }
