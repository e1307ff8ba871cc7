package catalog

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// SQLite has one writer at a time. Anyone who waits for it inside of this process waits here and
// not in SQLite, which would let anybody go first and fail who waited for too long: the writer has
// one connection, and anyone who wants it gets it in turn. What people do, revocations and the
// audit log first of all, goes before what agents report; a report holds the writer for no more
// than a few hundred rows (reportRows), and so long does a revocation wait, whatever agents send.
type writer struct {
	db *sql.DB // of one connection

	mu      sync.Mutex
	taken   bool
	people  []chan struct{} // who waits, in the order in which they came
	reports []chan struct{}
}

// reportRows bounds the rows that one transaction of a report writes.
const reportRows = 200

// queue is a place to wait for the writer.
type queue struct {
	of     *writer
	report bool
}

// within runs one transaction when its turn has come: committed if f returns nil, otherwise undone.
func (q queue) within(ctx context.Context, f func(*sql.Tx) error) error {
	done, err := q.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	tx, err := q.of.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		if undo := tx.Rollback(); undo != nil && !errors.Is(undo, sql.ErrTxDone) {
			return errors.Join(err, undo)
		}
		return err
	}
	return tx.Commit()
}

// ExecContext runs one statement as a transaction of its own.
func (q queue) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	done, err := q.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return q.of.db.ExecContext(ctx, query, args...)
}

// turn waits for the writer, and returns how to give it back.
func (q queue) turn(ctx context.Context) (done func(), err error) {
	w := q.of
	w.mu.Lock()
	if !w.taken {
		w.taken = true
		w.mu.Unlock()
		return w.next, nil
	}
	mine := make(chan struct{}, 1)
	waiting := &w.people
	if q.report {
		waiting = &w.reports
	}
	*waiting = append(*waiting, mine)
	w.mu.Unlock()
	select {
	case <-mine:
		return w.next, nil
	case <-ctx.Done():
		w.leave(waiting, mine)
		return nil, context.Cause(ctx)
	}
}

// next gives the writer to who comes next.
func (w *writer) next() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, waiting := range []*[]chan struct{}{&w.people, &w.reports} {
		if len(*waiting) > 0 {
			(*waiting)[0] <- struct{}{}
			*waiting = (*waiting)[1:]
			return
		}
	}
	w.taken = false
}

// leave is for who no longer waits: the turn that may have come meanwhile goes to
// the next.
func (w *writer) leave(waiting *[]chan struct{}, mine chan struct{}) {
	w.mu.Lock()
	for n, other := range *waiting {
		if other == mine {
			*waiting = append((*waiting)[:n:n], (*waiting)[n+1:]...)
			w.mu.Unlock()
			return
		}
	}
	w.mu.Unlock()
	w.next()
}

// database is the catalog's file: it is read by several at once, none of whom waits
// for the writer, and written to by the people's queue.
type database struct {
	*sql.DB // reads alone: a write by it is an error
	people  queue
}

// ExecContext writes in turn.
func (d database) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return d.people.ExecContext(ctx, query, args...)
}

// Close waits for what is under way.
func (d database) Close() error {
	err := d.DB.Close()
	if d.people.of != nil {
		err = errors.Join(err, d.people.of.db.Close())
	}
	return err
}
