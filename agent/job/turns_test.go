package job

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// The one who came first has the next turn, and those who no longer wait are passed over.
func TestTurnsAreTakenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := atOnce(1)
		done := takeTurn(t, turns)
		var waiting sync.WaitGroup
		var mu sync.Mutex
		var order []int
		gone, leave := context.WithCancel(t.Context())
		for n := range 4 {
			ctx := t.Context()
			if n == 1 {
				ctx = gone
			}
			waiting.Go(func() {
				release, err := turns.take(ctx)
				if n == 1 {
					if !errors.Is(err, errInterrupted) {
						t.Errorf("who is gone: %v", err)
					}
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, n)
				mu.Unlock()
				release()
			})
			synctest.Wait() // so that it waits before the next one comes
		}
		leave()
		synctest.Wait()
		done()
		waiting.Wait()
		if !slices.Equal(order, []int{0, 2, 3}) || turns.inUse() != 0 {
			t.Errorf("the order is %v, and %d turns are still taken", order, turns.inUse())
		}
	})
}

// A plan that allows more at once lets those in who wait.
func TestAPlanGivesMoreTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plans := newPlans(Plan{Concurrency: 1})
		turns := newTurnsOfRuns(plans)
		defer takeTurn(t, turns)()
		taken := make(chan func())
		go func() {
			release, _ := turns.take(t.Context())
			taken <- release
		}()
		synctest.Wait()
		if turns.inUse() != 1 {
			t.Fatal("it did not wait")
		}
		plans.Set(Plan{Concurrency: 2})
		(<-taken)()
	})
}
