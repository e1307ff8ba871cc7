package health_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
)

// paced is an evaluator in a synctest bubble whose looks begin one at a time, as the test says.
type paced struct {
	*health.Evaluator
	began atomic.Int32
	step  chan struct{}
}

func newPaced(t *testing.T, instances ...string) *paced {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for _, name := range instances {
		invite(t, c, name, now)
	}
	p := &paced{step: make(chan struct{})}
	p.Evaluator = &health.Evaluator{Catalog: c, Heartbeat: 10 * time.Second, Now: func() time.Time {
		p.began.Add(1)
		<-p.step
		return now
	}}
	return p
}

// 200 calls of one VIEWER kept the metrics and the alerts waiting, each for a look of its own. Now
// anyone who asks waits for the look under way and the next, and so do all others, whatever each of
// it asks for.
func TestWhoeverAsksWaitsForTwoLooksAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t, "db1", "db2")
		ctx, leave := context.WithCancel(t.Context())
		var waiters sync.WaitGroup
		var answered atomic.Int32
		for n := range 200 {
			query := []health.Query{{}, {Instance: "db1"}, {Scope: fleet.Scope{"db2"}}, {Verdicts: []fleet.Verdict{fleet.VerdictDuplicate}}}[n%4]
			waiters.Go(func() {
				for ctx.Err() == nil {
					if _, err := p.Fleet(ctx, query); err == nil {
						answered.Add(1)
					}
				}
			})
		}
		synctest.Wait()
		var metrics health.Report
		var err error
		asked := make(chan struct{})
		go func() { defer close(asked); metrics, err = p.Fleet(ctx, health.Query{}) }()
		synctest.Wait()
		for look := range 2 {
			if got := p.began.Load(); got != int32(look+1) {
				t.Fatalf("%d looks have begun, and %d were let go on", got, look)
			}
			p.step <- struct{}{}
			synctest.Wait()
		}
		select {
		case <-asked:
		default:
			t.Fatal("the metrics wait for a third look")
		}
		if err != nil || len(metrics.Statuses) != 2 {
			t.Errorf("they got %+v, %v", metrics, err)
		}
		if answered.Load() < 200 {
			t.Errorf("%d of the crowd were answered by two looks", answered.Load())
		}
		leave()
		close(p.step)
		waiters.Wait()
	})
}

// A look is of all who wait for it: the first to ask may leave first, and the last one left ends
// it.
func TestALookGoesOnWithoutWhoAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t, "db1")
		first, leaveFirst := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		ended := make(chan error)
		go func() { _, err := p.Fleet(first, health.Query{}); ended <- err }()
		synctest.Wait() // it is in the first look
		go func() { _, err := p.Fleet(first, health.Query{}); ended <- err }()
		synctest.Wait() // and here in the second, which has not begun
		var second health.Report
		stayed := make(chan error)
		go func() {
			var err error
			second, err = p.Fleet(t.Context(), health.Query{})
			stayed <- err
		}()
		synctest.Wait()
		leaveFirst(gone)
		if err := <-ended; !errors.Is(err, gone) {
			t.Errorf("who left the look that another waits for got %v", err)
		}
		p.step <- struct{}{} // the first look, which nobody waits for, is told to end and ends
		if err := <-ended; !errors.Is(err, gone) {
			t.Errorf("who left the look under way got %v", err)
		}
		p.step <- struct{}{}
		if err := <-stayed; err != nil || len(second.Statuses) != 1 {
			t.Errorf("who stayed got %+v, %v", second, err)
		}
	})
}

// What one look finds is told to each as far as they may see it.
func TestASharedLookIsToldWithinTheScope(t *testing.T) {
	metrics, c := collector(t)
	for _, name := range []string{"prod-0", "prod-1", "stage-0"} {
		invite(t, c, name, now)
	}
	for _, tt := range []struct {
		query health.Query
		want  []string
	}{
		{health.Query{}, []string{"prod-0", "prod-1", "stage-0"}},
		{health.Query{Scope: fleet.Scope{"prod-*"}}, []string{"prod-0", "prod-1"}},
		{health.Query{Scope: fleet.Scope{"prod-*"}, Instance: "*-0"}, []string{"prod-0"}},
		{health.Query{Instance: "prod-1"}, []string{"prod-1"}},
		{health.Query{Verdicts: []fleet.Verdict{fleet.VerdictFailed}}, nil},
	} {
		report, err := metrics.Evaluator.Fleet(t.Context(), tt.query)
		var got []string
		for _, j := range report.Statuses {
			got = append(got, j.Instance)
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, %v", tt.query, got, err)
		}
	}
	for _, outside := range []string{"stage-0", "stage-*"} {
		_, err := metrics.Evaluator.Fleet(t.Context(), health.Query{Scope: fleet.Scope{"prod-*"}, Instance: outside})
		if !errors.Is(err, fleet.ErrNotFound) {
			t.Errorf("%s, which is out of scope: %v", outside, err)
		}
	}
}
