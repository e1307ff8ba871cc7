// Package audit keeps the audit log: what somebody was about to do is written before it takes
// effect, and how it ended after it. If the first can't be written, the action must not happen.
package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Store is where the audit log is kept; the catalog is one.
type Store interface {
	Append(ctx context.Context, e chain.Entry) (sequence int64, err error)
	Complete(ctx context.Context, started int64, outcome, detail string, now time.Time) error
}

// Log writes entries. It is safe for concurrent use.
type Log struct {
	Store Store
	Now   func() time.Time

	repeats repeats
}

// Action is what is about to be done, and by whom.
type Action struct {
	Actor    string
	Action   string
	Instance string
	Target   string
	Reason   string
	Detail   string
	// Apart is what repeats of it are counted by, besides the actor and the action. It must be
	// nothing that the actor can choose. It is not kept.
	Apart string
}

// Begin writes that an action starts. The caller goes ahead only if it
// succeeds, and completes the returned sequence later.
func (t *Log) Begin(ctx context.Context, a Action) (int64, error) {
	sequence, err := t.write(ctx, a, chain.OutcomeStarted)
	if err != nil {
		return 0, fmt.Errorf("audit: %s was not started, because the audit log can't be written: %w", a.Action, err)
	}
	return sequence, nil
}

// Ongoing writes how far the action of a started entry is about to come. The caller
// goes ahead only if it succeeds.
func (t *Log) Ongoing(ctx context.Context, sequence int64, detail string) error {
	if err := t.Store.Complete(ctx, sequence, chain.OutcomeOngoing, clip(detail), t.Now().UTC()); err != nil {
		return fmt.Errorf("audit: what began with entry %d does not go on, because the audit log can't be written: %w", sequence, err)
	}
	return nil
}

// End writes how the action of a started entry ended; err is its error, or
// nil. It writes even when the caller's context has ended.
func (t *Log) End(ctx context.Context, sequence int64, detail string, err error) error {
	outcome := chain.OutcomeSucceeded
	if err != nil {
		outcome, detail = chain.OutcomeFailed, join(detail, err.Error())
	}
	return t.Store.Complete(context.WithoutCancel(ctx), sequence, outcome, clip(detail), t.Now().UTC())
}

// Denied writes that somebody was refused; what comes again, once with a count.
func (t *Log) Denied(ctx context.Context, a Action) error {
	if t.Again(a, chain.OutcomeDenied) {
		return nil
	}
	_, err := t.write(context.WithoutCancel(ctx), a, chain.OutcomeDenied)
	if err != nil {
		t.repeats.forget(a, chain.OutcomeDenied)
	}
	return err
}

// RefusedBefore writes that something was refused before it began, for what somebody
// can ask for any number of times: the first few times, and then how often. What is
// not known stays an error of its own.
func (t *Log) RefusedBefore(ctx context.Context, a Action, why error) error {
	if !errors.Is(why, fleet.ErrNotFound) && !errors.Is(why, fleet.ErrUnauthenticated) {
		return why
	}
	a.Detail = strings.TrimPrefix(a.Detail+": "+why.Error(), ": ")
	return errors.Join(why, t.Denied(ctx, a))
}

// Do runs f between Begin and End, for actions that end with their call.
func (t *Log) Do(ctx context.Context, a Action, f func() error) error {
	sequence, err := t.Begin(ctx, a)
	if err != nil {
		return err
	}
	return t.finish(ctx, a, sequence, f)
}

// finish runs f and writes how it ended.
func (t *Log) finish(ctx context.Context, a Action, sequence int64, f func() error) error {
	err := f()
	if written := t.End(ctx, sequence, "", err); written != nil && err == nil {
		return fmt.Errorf("audit: %s took effect, but its end can't be written: %w", a.Action, written)
	}
	return err
}

func (t *Log) write(ctx context.Context, a Action, outcome string) (int64, error) {
	return t.Store.Append(ctx, chain.Entry{
		At: t.Now().UTC(), Actor: clip(a.Actor), Action: clip(a.Action), Instance: clip(a.Instance), Target: clip(a.Target),
		Reason: clip(a.Reason), Outcome: outcome, Detail: clip(a.Detail),
	})
}

// maxText bounds each text of an entry: what is written stays forever, and a part of it is what
// somebody who was refused has asked for.
const maxText = 16 << 10 // bytes

func clip(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + " …"
	}
	return text
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ": " + b
}
