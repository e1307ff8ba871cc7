package fleet_test

import (
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func TestConsentToAReplacementCoversItsUndoForAWhile(t *testing.T) {
	swapped := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	ada, bob := fleet.Caller{Kind: fleet.CallerUser, Name: "ada"}, fleet.Caller{Kind: fleet.CallerUser, Name: "bob"}
	replaced := fleet.Restore{Job: fleet.Job{State: fleet.JobSucceeded, RequestedBy: "user:ada", FinishedAt: swapped}}
	underWay := replaced
	underWay.State, underWay.FinishedAt = fleet.JobRunning, time.Time{}
	for _, tt := range []struct {
		what    string
		restore fleet.Restore
		by      fleet.Caller
		after   time.Duration
		covered bool
	}{
		{"at once", replaced, ada, 0, true},
		{"within the window", replaced, ada, fleet.UndoWindow - time.Second, true},
		{"at its end", replaced, ada, fleet.UndoWindow, false},
		{"days later", replaced, ada, 72 * time.Hour, false},
		{"somebody else, at once", replaced, bob, 0, false},
		{"an agent of the name, at once", replaced, fleet.Caller{Kind: fleet.CallerAgent, Name: "ada"}, 0, false},
		{"by an agent's clock that is a little ahead", replaced, ada, -time.Second, true},
		{"by an agent's clock that is far ahead", replaced, ada, -24 * time.Hour, false},
		{"before it has ended", underWay, ada, 0, false},
	} {
		if got := tt.restore.CoversUndo(tt.by, swapped.Add(tt.after)); got != tt.covered {
			t.Errorf("%s: covered %t", tt.what, got)
		}
	}
}

// What policies say of a replacement they say of its undo.
func TestPoliciesAskOfAnUndoWhatTheyAskOfAReplacement(t *testing.T) {
	undo := fleet.GuardedRequest{Action: fleet.ActionUndo, Instance: "prod-1"}
	for _, tt := range []struct {
		policy           fleet.Policy
		approval, reason bool
	}{
		{fleet.Policy{Glob: "prod-*", RequireApproval: []fleet.GuardedAction{fleet.ActionReplace}}, true, false},
		{fleet.Policy{Glob: "prod-*", RequireReason: []fleet.GuardedAction{fleet.ActionReplace}}, false, true},
		{fleet.Policy{Glob: "prod-*", RequireApproval: []fleet.GuardedAction{fleet.ActionDownload}}, false, false},
		{fleet.Policy{Glob: "dev-*", RequireApproval: []fleet.GuardedAction{fleet.ActionReplace}}, false, false},
	} {
		if d := fleet.Demands([]fleet.Policy{tt.policy}, undo); d.Approval != tt.approval || d.Reason != tt.reason {
			t.Errorf("%+v asks for %+v", tt.policy, d)
		}
	}
}
