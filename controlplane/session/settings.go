package session

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// actionSettings is the audit log's word for an agent that keeps its backups by other rules than
// before.
const actionSettings = "agent.settings"

// takeStatus takes over what the agent says of itself. A change of the rules by which it keeps
// backups was made on its host, by somebody whom nobody here has asked: the audit log says so
// before the catalog does, and counts what changes again and again.
func (s *session) takeStatus(ctx context.Context, version string, status fleet.AgentStatus, now time.Time) error {
	before, err := s.Catalog.Agents.Get(ctx, s.instance)
	if err != nil {
		return err
	}
	keep := func() error { return s.Catalog.Agents.RecordStatus(ctx, s.instance, version, status, now) }
	changes := settingsChanges(before.Status, status)
	if before.LastSeenAt.IsZero() || len(changes) == 0 {
		return keep()
	}
	return s.Audit.Often(ctx, audit.Action{
		Actor: "agent:" + s.instance, Action: actionSettings, Instance: s.instance, Target: s.instance, Detail: strings.Join(changes, "; "),
	}, keep)
}

// settingsChanges names the rules that differ, as they were and as they are.
func settingsChanges(before, after fleet.AgentStatus) (changes []string) {
	if before.Policy != nil && after.Policy != nil { // an older agent says nothing of it
		if was, is := before.Policy.String(), after.Policy.String(); was != is {
			changes = append(changes, fmt.Sprintf("policy: %s, was %s", is, was))
		}
	}
	for _, rule := range []struct {
		name string
		of   func(fleet.AgentStatus) any
	}{
		{"backups enabled", func(s fleet.AgentStatus) any { return s.BackupsEnabled }},
		{"schedule", func(s fleet.AgentStatus) any { return strings.TrimSpace(s.Schedule + " " + s.Timezone) }},
		{"retention days", func(s fleet.AgentStatus) any { return s.RetentionDays }},
		{"the last kept", func(s fleet.AgentStatus) any { return s.KeepLast }},
		{"encryption", func(s fleet.AgentStatus) any { return s.Encrypting }},
	} {
		if was, is := rule.of(before), rule.of(after); was != is {
			changes = append(changes, fmt.Sprintf("%s: %v, was %v", rule.name, is, was))
		}
	}
	return changes
}
