package job

import (
	"sync"
	"testing"
	"time"
)

// A supervisor hears nothing of an agent of which one part hangs with its lock.
func TestAnAgentRespondsOnlyIfEachPartDoes(t *testing.T) {
	r := newOffline(t, nil)
	r.Responds()
	for name, mu := range map[string]*sync.Mutex{
		"runs": &r.Runs.mu, "the queue": &r.Queue.mu, "the status": &r.Status.mu, "the schedule": &r.Status.upcoming.mu,
		"warnings": &r.warnings.mu, "retention": &r.purger.mu, "reads": &r.reads.mu, "the inventory": &r.Inventory.mu,
		"the databases": &r.coverage.mu, "orphans": &r.orphans.mu, "plans": &r.Plans.mu,
	} {
		mu.Lock()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Responds()
		}()
		select {
		case <-done:
			t.Errorf("it responds while the lock of %s is held", name)
		case <-time.After(20 * time.Millisecond):
		}
		mu.Unlock()
		<-done
	}
}
