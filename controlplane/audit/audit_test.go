package audit_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/chain"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var errFull = errors.New("no space")

// pages is an audit log in memory with room for a number of entries. Like the catalog, it writes
// nothing once its context has ended.
type pages struct {
	room    int
	entries []chain.Entry
}

func (p *pages) Append(ctx context.Context, e chain.Entry) (int64, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if len(p.entries) == p.room {
		return 0, errFull
	}
	e.Sequence = int64(len(p.entries) + 1)
	p.entries = append(p.entries, e)
	return e.Sequence, nil
}

func (p *pages) Complete(ctx context.Context, started int64, outcome, detail string, at time.Time) error {
	_, err := p.Append(ctx, chain.Entry{At: at, Outcome: outcome, Detail: detail, Completes: started})
	return err
}

func auditLog(room int) (*audit.Log, *pages) {
	p := &pages{room: room}
	return &audit.Log{Store: p, Now: func() time.Time { return now }}, p
}

var action = audit.Action{Actor: "user:a", Action: "user.revoke", Instance: "db1", Target: "user:b", Reason: "why", Detail: "how"}

var started = chain.Entry{
	Sequence: 1, At: now, Actor: "user:a", Action: "user.revoke", Instance: "db1", Target: "user:b", Reason: "why", Detail: "how",
	Outcome: chain.OutcomeStarted,
}

func TestDoWritesTheStartBeforeTheEffectAndThenTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		end  chain.Entry
	}{
		{"it works", nil, chain.Entry{Sequence: 2, At: now, Outcome: chain.OutcomeSucceeded, Completes: 1}},
		{"it fails", errors.New("why not"), chain.Entry{Sequence: 2, At: now, Outcome: chain.OutcomeFailed, Detail: "why not", Completes: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auditLog, pages := auditLog(10)
			ctx, cancel := context.WithCancel(t.Context())
			err := auditLog.Do(ctx, action, func() error {
				if diff := cmp.Diff([]chain.Entry{started}, pages.entries); diff != "" {
					t.Errorf("at the effect: %s", diff)
				}
				cancel() // the caller hangs up; how it ended is written anyway
				return tt.err
			})
			if !errors.Is(err, tt.err) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff([]chain.Entry{started, tt.end}, pages.entries); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDoDoesNothingThatItCannotWriteDown(t *testing.T) {
	auditLog, _ := auditLog(0)
	err := auditLog.Do(t.Context(), action, func() error {
		t.Error("it took effect")
		return nil
	})
	if !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

// An end that can't be written is not passed over in silence.
func TestDoSaysThatTheEndIsNotWritten(t *testing.T) {
	auditLog, _ := auditLog(1)
	if err := auditLog.Do(t.Context(), action, func() error { return nil }); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestDeniedIsWrittenAlsoWhenTheCallerHangsUp(t *testing.T) {
	auditLog, pages := auditLog(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := auditLog.Denied(ctx, action); err != nil {
		t.Fatal(err)
	}
	if len(pages.entries) != 1 || pages.entries[0].Outcome != chain.OutcomeDenied || pages.entries[0].Actor != "user:a" {
		t.Errorf("the audit log is %+v", pages.entries)
	}
}

// clocked is an audit log whose time the test sets.
func clocked(room int) (*audit.Log, *pages, *time.Time) {
	p, at := &pages{room: room}, now
	return &audit.Log{Store: p, Now: func() time.Time { return at }}, p, &at
}

// A caller who is refused a thousand times writes four entries and not a thousand.
func TestWhatIsRefusedAgainIsCounted(t *testing.T) {
	auditLog, pages, at := clocked(100)
	for range 1000 {
		if err := auditLog.Denied(t.Context(), action); err != nil {
			t.Fatal(err)
		}
		*at = at.Add(time.Second)
	}
	if err := auditLog.TellRepeats(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if len(pages.entries) != 3 {
		t.Fatalf("within the hour there are %d entries", len(pages.entries))
	}
	*at = now.Add(audit.RepeatsWithin)
	if err := auditLog.TellRepeats(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if len(pages.entries) != 4 {
		t.Fatalf("after the hour there are %d entries", len(pages.entries))
	}
	told := pages.entries[3]
	want := "997 times more from 2026-03-01T12:00:03Z to 2026-03-01T12:16:39Z, the last: how"
	if told.Detail != want || told.Outcome != chain.OutcomeDenied || told.Actor != action.Actor || told.Target != action.Target {
		t.Errorf("the count is %+v", told)
	}
	if err := auditLog.Denied(t.Context(), action); err != nil || len(pages.entries) != 5 {
		t.Errorf("in the next hour there are %d entries, %v", len(pages.entries), err)
	}
}

// What a caller can choose does not make an entry of its own each time; what another
// does, is.
func TestManyDifferentRefusalsOfOneCallerAreCountedToo(t *testing.T) {
	auditLog, pages, _ := clocked(100)
	for n := range 1000 {
		a := action
		a.Instance, a.Detail = strconv.Itoa(n), "not on "+strconv.Itoa(n)
		if err := auditLog.Denied(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	other := action
	other.Actor = "user:c"
	if err := auditLog.Denied(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if n := len(pages.entries); n != 9 || pages.entries[8].Actor != "user:c" {
		t.Errorf("there are %d entries", n)
	}
	if err := auditLog.TellRepeats(t.Context(), true); err != nil { // as at the end
		t.Fatal(err)
	}
	if last := pages.entries[len(pages.entries)-1]; len(pages.entries) != 10 || !strings.HasPrefix(last.Detail, "992 times more") || !strings.HasSuffix(last.Detail, "not on 999") {
		t.Errorf("there are %d entries, the last is %+v", len(pages.entries), last)
	}
}

// Settings that flip take effect each time, and are a few entries and a count.
func TestWhatChangesOftenTakesEffectAndIsCounted(t *testing.T) {
	auditLog, pages, _ := clocked(100)
	done, failing := 0, errors.New("why not")
	for n := range 100 {
		err := auditLog.Often(t.Context(), action, func() error {
			if n == 50 {
				return failing
			}
			done++
			return nil
		})
		if (n == 50) != errors.Is(err, failing) {
			t.Errorf("time %d: %v", n, err)
		}
	}
	if err := auditLog.TellRepeats(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for _, e := range pages.entries {
		outcomes = append(outcomes, e.Outcome)
	}
	of := []string{chain.OutcomeStarted, chain.OutcomeSucceeded}
	want := slices.Concat(of, of, of, []string{chain.OutcomeFailed, chain.OutcomeSucceeded})
	if diff := cmp.Diff(want, outcomes); diff != "" || done != 99 {
		t.Errorf("%d took effect; %s", done, diff)
	}
}

// What could not be written down is not taken for written, and a count is not lost.
func TestAuditLogThatIsFullLosesNoRepeat(t *testing.T) {
	auditLog, pages, _ := clocked(0)
	for range 3 {
		if err := auditLog.Denied(t.Context(), action); !errors.Is(err, errFull) {
			t.Errorf("got %v", err)
		}
	}
	pages.room = 3
	for range 5 {
		if err := auditLog.Denied(t.Context(), action); err != nil {
			t.Fatal(err)
		}
	}
	if err := auditLog.TellRepeats(t.Context(), true); !errors.Is(err, errFull) {
		t.Errorf("the count: %v", err)
	}
	pages.room = 4
	if err := auditLog.TellRepeats(t.Context(), true); err != nil || len(pages.entries) != 4 || !strings.HasPrefix(pages.entries[3].Detail, "2 times more") {
		t.Errorf("the audit log is %+v, %v", pages.entries, err)
	}
}
