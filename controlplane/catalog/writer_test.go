package catalog

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

// takers queue for a writer, one after the other, and note in which order they had
// it.
type takers struct {
	w     *writer
	order []string
}

func (q *takers) add(ctx context.Context, name string, report bool) {
	go func() {
		done, err := queue{of: q.w, report: report}.turn(ctx)
		if err == nil {
			q.order = append(q.order, name) // who has the writer is alone
			done()
		}
	}()
	synctest.Wait()
}

func TestPeopleGoBeforeReportsWhoeverCameFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &takers{w: &writer{}}
		done, err := queue{of: q.w, report: true}.turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"report 1", "report 2", "report 3"} {
			q.add(t.Context(), name, true)
		}
		q.add(t.Context(), "revoke", false)
		q.add(t.Context(), "trail", false)
		done()
		synctest.Wait()
		if want := []string{"revoke", "trail", "report 1", "report 2", "report 3"}; !slices.Equal(q.order, want) {
			t.Errorf("the order was %v", q.order)
		}
		if done, err = (queue{of: q.w}).turn(t.Context()); err != nil { // it is free again
			t.Fatal(err)
		}
		done()
	})
}

func TestWhoNoLongerWaitsKeepsNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &takers{w: &writer{}}
		done, err := queue{of: q.w}.turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		why := errors.New("why")
		impatient, leave := context.WithCancelCause(t.Context())
		q.add(impatient, "left", true)
		q.add(t.Context(), "stayed", true)
		leave(why)
		synctest.Wait()
		if _, err := (queue{of: q.w}).turn(impatient); !errors.Is(err, why) {
			t.Errorf("who comes with an ended context: %v", err)
		}
		done()
		synctest.Wait()
		if want := []string{"stayed"}; !slices.Equal(q.order, want) {
			t.Errorf("the order was %v", q.order)
		}
	})
}

// A turn that comes at the same moment as its context ends goes to the next.
func TestTurnThatComesTooLateGoesOn(t *testing.T) {
	w := &writer{}
	for range 1000 {
		done, err := queue{of: w}.turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if done, err := (queue{of: w, report: true}).turn(ctx); err == nil {
				done()
			}
		}()
		go done()
		cancel()
		<-ended
	}
	done, err := queue{of: w}.turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done()
	if len(w.people)+len(w.reports) > 0 || w.taken {
		t.Errorf("somebody still waits: %+v", w)
	}
}

// The connections for reads change nothing, so that no write goes past the queue.
func TestReadsCannotWrite(t *testing.T) {
	c, err := Open(t.Context(), t.TempDir()+"/catalog.db")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.db.DB.ExecContext(t.Context(), `DELETE FROM settings`); err == nil {
		t.Error("a connection for reads has written")
	}
	if _, err := c.db.ExecContext(t.Context(), `DELETE FROM settings`); err != nil {
		t.Errorf("in turn: %v", err)
	}
}
