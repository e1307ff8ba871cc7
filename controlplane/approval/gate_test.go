package approval_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/approval"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var download = fleet.GuardedRequest{Action: fleet.ActionDownload, Instance: "db1", Target: "a backup", Reason: "a drill"}

// gate is one whose policy asks for another person for each download, with two OWNERs.
func gate(t *testing.T) (g *approval.Gate, olga, otto fleet.Caller) {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	policy := fleet.Policy{Glob: "db*", RequireApproval: []fleet.GuardedAction{fleet.ActionDownload}, UpdatedBy: "olga", UpdatedAt: now}
	if err := c.Policies.Set(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return now }
	g = &approval.Gate{Catalog: c, Audit: &audit.Log{Store: c.AuditLog, Now: clock}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: clock}
	return g, owner(t, c, "olga"), owner(t, c, "otto")
}

func owner(t *testing.T, c *catalog.Catalog, name string) fleet.Caller {
	t.Helper()
	invite := fleet.Invite{
		SecretHash: fleet.NewID(), Kind: fleet.CallerUser, Name: name, Role: fleet.RoleOwner, CreatedBy: "host", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if err := c.Invites.Create(t.Context(), invite); err != nil {
		t.Fatal(err)
	}
	caller := fleet.Caller{Kind: fleet.CallerUser, Name: name, Identity: fleet.NewID()}
	if _, err := c.Invites.Redeem(t.Context(), catalog.Enrolment{SecretHash: invite.SecretHash, Caller: caller, Key: "k", EndsAt: now.Add(time.Hour)}, now); err != nil {
		t.Fatal(err)
	}
	caller, err := c.Identities.Caller(t.Context(), caller.Kind, name, caller.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return caller
}

// pending makes a request that waits, and returns the id of its approval.
func pending(t *testing.T, g *approval.Gate, caller fleet.Caller) string {
	t.Helper()
	_, err := g.Pass(t.Context(), caller, download)
	var problem *fleet.Problem
	if !errors.As(err, &problem) || problem.Approval == "" {
		t.Fatalf("it did not wait: %v", err)
	}
	return problem.Approval
}

func TestARequestPassesOnceAfterAnotherPersonHasAgreed(t *testing.T) {
	g, olga, otto := gate(t)
	id := pending(t, g, olga)
	if again := pending(t, g, olga); again != id {
		t.Errorf("the same request waits twice: %s and %s", id, again)
	}
	if _, err := g.Decide(t.Context(), olga, id, fleet.ApprovalApproved, ""); !errors.Is(err, fleet.ErrDenied) {
		t.Errorf("olga decided on her own request: %v", err)
	}
	if decided, err := g.Decide(t.Context(), otto, id, fleet.ApprovalApproved, "go on"); err != nil || decided.DecidedBy != "otto" {
		t.Fatalf("otto's decision: %+v, %v", decided, err)
	}
	if by, err := g.Pass(t.Context(), olga, download); err != nil || by != "otto" {
		t.Errorf("it did not pass: %q, %v", by, err)
	}
	if next := pending(t, g, olga); next == id {
		t.Error("it passed on an approval that was used")
	}
}

func TestWhatNoPolicyIsAboutPasses(t *testing.T) {
	g, olga, _ := gate(t)
	other := download
	other.Instance = "crm"
	if by, err := g.Pass(t.Context(), olga, other); err != nil || by != "" {
		t.Errorf("got %q, %v", by, err)
	}
}

func TestAnApprovalEndsWithWhoGaveIt(t *testing.T) {
	g, olga, otto := gate(t)
	id := pending(t, g, olga)
	if _, err := g.Decide(t.Context(), otto, id, fleet.ApprovalApproved, ""); err != nil {
		t.Fatal(err)
	}
	owner(t, g.Catalog, "third") // there is somebody to ask next
	if err := g.Catalog.Users.Revoke(t.Context(), "otto", now); err != nil {
		t.Fatal(err)
	}
	if shown, err := g.Get(t.Context(), olga, id); err != nil || shown.State != fleet.ApprovalVoid {
		t.Errorf("it is shown as %s, %v", shown.State, err)
	}
	if next := pending(t, g, olga); next == id {
		t.Error("it passed on the approval of somebody who was revoked")
	}
}

// An effect that was interrupted leaves its approval for the next attempt.
func TestAnInterruptedEffectGivesItsApprovalBack(t *testing.T) {
	g, olga, otto := gate(t)
	id := pending(t, g, olga)
	if _, err := g.Decide(t.Context(), otto, id, fleet.ApprovalApproved, ""); err != nil {
		t.Fatal(err)
	}
	for _, failed := range []error{errors.New("the connection broke"), nil} {
		end, err := g.PassUntil(t.Context(), olga, download)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Pass(t.Context(), olga, download); !errors.Is(err, fleet.ErrUnreachable) {
			t.Errorf("a second one meanwhile: %v", err)
		}
		if err := end(failed); err != nil && !errors.Is(err, failed) {
			t.Fatal(err)
		}
	}
	if next := pending(t, g, olga); next == id {
		t.Error("it passed on an approval that was used")
	}
}
