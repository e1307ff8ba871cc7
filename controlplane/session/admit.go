package session

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// ErrDuplicate refuses a session because another agent with the same identity
// has one, and lives.
var ErrDuplicate = errors.New("another agent with the same identity is connected")

// answerWithin bounds how long an agent that is connected has to show that it lives; if heartbeats
// are more frequent, it is as long as silence may be. It is less than an agent waits for its
// welcome.
const answerWithin = 20 * time.Second

// admit makes s the session of its instance, until leave. An older session of the same start of the
// agent is superseded: its connection broke. One of another start is either what a restart or a
// dead network has left, or that of a second agent with a copy of the identity. So it is asked for
// its inventory, which it answers at once if it lives; then s is refused, or two such agents would
// throw each other out forever. One that does not answer is superseded.
func (r *Registry) admit(ctx context.Context, s *session) (leave func(), err error) {
	deadline := time.NewTimer(min(answerWithin, fleet.HeartbeatsMissed*r.Heartbeat))
	defer deadline.Stop()
	var dead *session
	for {
		older := r.enter(s, dead)
		if older == nil {
			return func() { r.leave(s) }, nil
		}
		answer, forget := r.Notifications.Listen(older.answerChannel())
		older.challenge()
		select {
		case <-answer:
			err = r.refuse(ctx, s, older)
		case <-older.ended:
		case <-deadline.C:
			dead = older
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		forget()
		if err != nil {
			return nil, err
		}
	}
}

// enter makes s the session of its instance and ends an older one, or returns the older one if that
// may be another agent's: not the one that is known to be dead.
func (r *Registry) enter(s, dead *session) (older *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live == nil {
		r.live = map[string]*session{}
	}
	if older := r.live[s.instance]; older != nil {
		if older != dead && older.lives() && older.mayBeAnother(s) {
			return older
		}
		older.end(ErrSuperseded)
	}
	r.live[s.instance] = s
	return nil
}

func (r *Registry) leave(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live[s.instance] == s {
		delete(r.live, s.instance)
	}
}

// lives reports whether the session has not ended yet, as far as this side knows.
func (s *session) lives() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// mayBeAnother: agents from before incarnations can't be distinguished.
func (s *session) mayBeAnother(newer *session) bool {
	return s.incarnation != "" && newer.incarnation != "" && s.incarnation != newer.incarnation
}

// challenge makes the sender ask for the one thing that every agent answers at
// once.
func (s *session) challenge() {
	select {
	case s.challenged <- struct{}{}:
	default: // it is about to be asked
	}
}

// answerChannel is notified when the agent has sent a page of its inventory.
func (s *session) answerChannel() string { return "answer/" + s.instance + "/" + s.incarnation }

// refuse notes the second agent, in the catalog for health and, when it is news, in the audit log:
// it comes again and again.
func (r *Registry) refuse(ctx context.Context, s, older *session) error {
	agent, err := r.Catalog.Agents.Get(ctx, s.instance)
	if err != nil {
		return err
	}
	here, there := cmp.Or(s.host, "an unknown host"), cmp.Or(older.host, "an unknown host")
	duplicate := fleet.Duplicate{Host: s.host, At: r.Now().UTC()}
	if duplicate.NewsAfter(agent.Duplicate) {
		name := string(fleet.CallerAgent) + ":" + s.instance
		err = r.Audit.Denied(ctx, audit.Action{
			Actor: name, Action: "agent.duplicate", Instance: s.instance, Target: name,
			Detail: "a second agent with this identity, on " + here + ", is refused: the one on " + there + " is connected",
		})
		r.Log.Error("a second agent with the same identity is refused", "instance", s.instance, "refused", here, "connected", there)
	}
	if err := errors.Join(err, r.Catalog.Agents.RecordDuplicate(ctx, s.instance, duplicate)); err != nil {
		return err
	}
	return fleet.NewProblem(ErrDuplicate, "another agent with the identity of %s is connected, on %s; this one, on %s, is refused", s.instance, there, here).
		WithHint("stop the one that does not belong there; if its host is to stay, enrol it under a name of its own: pgharbor agents invite NAME")
}
