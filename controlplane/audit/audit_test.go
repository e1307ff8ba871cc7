package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/chain"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var errFull = errors.New("no space")

// pages is a trail in memory with room for a number of entries. Like the
// catalog, it writes nothing once its context has ended.
type pages struct {
	room    int
	entries []chain.Entry
}

func (p *pages) AppendAudit(ctx context.Context, e chain.Entry) (int64, error) {
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

func (p *pages) CompleteAudit(ctx context.Context, started int64, outcome, detail string, at time.Time) error {
	_, err := p.AppendAudit(ctx, chain.Entry{At: at, Outcome: outcome, Detail: detail, Completes: started})
	return err
}

func trail(room int) (*audit.Trail, *pages) {
	p := &pages{room: room}
	return &audit.Trail{Store: p, Now: func() time.Time { return now }}, p
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
			trail, pages := trail(10)
			ctx, cancel := context.WithCancel(t.Context())
			err := trail.Do(ctx, action, func() error {
				if diff := cmp.Diff([]chain.Entry{started}, pages.entries); diff != "" {
					t.Errorf("at the effect: %s", diff)
				}
				cancel() // the caller hangs up; how it ended is written all the same
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
	trail, _ := trail(0)
	err := trail.Do(t.Context(), action, func() error {
		t.Error("it took effect")
		return nil
	})
	if !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

// An end that can't be written is not passed over in silence.
func TestDoSaysThatTheEndIsNotWritten(t *testing.T) {
	trail, _ := trail(1)
	if err := trail.Do(t.Context(), action, func() error { return nil }); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestDeniedIsWrittenAlsoWhenTheCallerHangsUp(t *testing.T) {
	trail, pages := trail(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := trail.Denied(ctx, action); err != nil {
		t.Fatal(err)
	}
	if len(pages.entries) != 1 || pages.entries[0].Outcome != chain.OutcomeDenied || pages.entries[0].Actor != "user:a" {
		t.Errorf("the trail is %+v", pages.entries)
	}
}
