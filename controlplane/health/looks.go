package health

import (
	"context"
	"sync"
	"time"
)

// lookWithin bounds one look, which all wait for.
const lookWithin = time.Minute

// looks has the fleet looked at once at a time, for all who asked before a look
// began: however many ask, and whatever they may see, each waits for the look under
// way and the one after it at most. So nobody who asks much keeps the metrics, the
// alerts or other people waiting.
type looks struct {
	mu   sync.Mutex
	next *look         // the one that has not begun, if somebody waits for it
	turn chan struct{} // holds one while a look is under way
}

// look is one look at the whole fleet.
type look struct {
	waiting int                // how many wait for it
	end     context.CancelFunc // ends it early
	done    chan struct{}
	report  Report // once it is done
	err     error
}

// share returns what a look has found that began after it was called.
func (l *looks) share(ctx context.Context, take func(context.Context) (Report, error)) (Report, error) {
	next := l.join(ctx, take)
	defer l.leave(next)
	select {
	case <-next.done:
		return next.report, next.err
	case <-ctx.Done():
		return Report{}, context.Cause(ctx)
	}
}

func (l *looks) join(ctx context.Context, take func(context.Context) (Report, error)) *look {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turn == nil {
		l.turn = make(chan struct{}, 1)
	}
	if l.next == nil {
		// Anyone who came first may leave first: the look is of all who wait for it.
		ctx, end := context.WithTimeout(context.WithoutCancel(ctx), lookWithin)
		l.next = &look{end: end, done: make(chan struct{})}
		go l.run(ctx, l.next, take)
	}
	l.next.waiting++
	return l.next
}

func (l *looks) run(ctx context.Context, this *look, take func(context.Context) (Report, error)) {
	defer close(this.done)
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		this.err = context.Cause(ctx)
		return
	}
	l.mu.Lock()
	l.forget(this) // who comes from now on asks for what is later
	l.mu.Unlock()
	this.report, this.err = take(ctx)
}

// leave ends a look that nobody waits for any longer, and waits until it has ended:
// no query outlives those who asked.
func (l *looks) leave(this *look) {
	l.mu.Lock()
	this.waiting--
	last := this.waiting == 0
	if last {
		l.forget(this)
	}
	l.mu.Unlock()
	if last {
		this.end()
		<-this.done
	}
}

// forget lets nobody join a look any more.
func (l *looks) forget(this *look) {
	if l.next == this {
		l.next = nil
	}
}
