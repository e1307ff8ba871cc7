package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What is refused of an agent costs it neither its session nor others anything: it
// is told in its own health and in the log, at once and then with a count, at most
// once a heartbeat.

// hold holds a message to its bounds, and reports whether anything is left to take.
func (s *session) hold(message *pgharborv1.ConnectRequest) bool {
	status := message.GetHello().GetStatus()
	if beat := message.GetHeartbeat(); beat != nil {
		status = beat.GetStatus()
	}
	if status != nil { // what it lacks is told for as long as it is
		ofStatus, _ := within(status)
		s.leftOut = ofStatus.texts
	}
	other, err := within(message)
	if other.count > 0 {
		s.refusal.Text, s.refusal.Count = strings.Join(other.texts, "; "), s.refusal.Count+int64(other.count)
	}
	if err != nil {
		s.refuse("a message", err)
	}
	return err == nil
}

// refuse notes what was not taken.
func (s *session) refuse(what string, err error) {
	s.refusal.Text, s.refusal.Count = fmt.Sprintf("%s: %v", what, err), s.refusal.Count+1
}

// tellRefused tells what was refused since it was told last.
func (s *session) tellRefused(ctx context.Context) error {
	now := s.Now().UTC()
	if s.refusal.Count == 0 || now.Sub(s.refusal.At).Abs() < s.Heartbeat {
		return nil
	}
	s.refusal.At, s.refusal.Text = now, fleet.Cut(s.refusal.Text, 500)
	s.Log.Error("the agent sent what is refused", "instance", s.instance, "times", s.refusal.Count, "last", s.refusal.Text)
	err := s.Catalog.Agents.RecordRefusal(ctx, s.instance, s.refusal)
	s.refusal = fleet.Refusal{At: now}
	return err
}

// status is what the agent says of itself, within its share, and what must be said of its key.
func (s *session) status(said *pgharborv1.AgentStatus) fleet.AgentStatus {
	status := statusFrom(said)
	status.Refused = s.leftOut
	most := s.Catalog.Share().Databases
	if more := len(status.Databases) - most; more > 0 {
		status.Databases = status.Databases[:most]
		status.Refused = append(status.Refused, fmt.Sprintf("%d databases more than the %d that one agent may have here", more, most))
	}
	if s.keyWarning != "" {
		status.Warnings = append(status.Warnings, s.keyWarning)
	}
	return status
}
