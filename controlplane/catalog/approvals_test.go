package catalog_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func ask(t *testing.T, c *catalog.Catalog, r fleet.GuardedRequest) fleet.Approval {
	t.Helper()
	asked, err := c.Approvals.Ask(t.Context(), fleet.Approval{
		ID: fleet.NewID(), Request: r, RequesterIdentity: "identity-of-ada", CreatedAt: now, Lifetime: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	return asked
}

func TestApprovalIsKeptAsItIs(t *testing.T) {
	c, _ := open(t)
	request := fleet.GuardedRequest{
		Action: fleet.ActionDownload, Instance: "prod-1", Source: "prod-2", Target: "id1", Reason: "why", Requester: "ada",
		Details: []fleet.Detail{{Name: "database", Value: "shop\n"}},
	}
	asked := ask(t, c, request)
	if again := ask(t, c, request); again.ID != asked.ID {
		t.Errorf("a request that waits is asked for again as %s", again.ID)
	}
	bob := fleet.Caller{Kind: fleet.CallerUser, Name: "bob", Identity: "identity-of-bob"}
	later := now.Add(30 * time.Minute)
	if err := c.Approvals.Decide(t.Context(), asked.ID, fleet.ApprovalApproved, bob, "yes", later); err != nil {
		t.Fatal(err)
	}
	got, err := c.Approvals.Of(t.Context(), request)
	want := fleet.Approval{
		ID: asked.ID, Request: request, RequesterIdentity: "identity-of-ada", State: fleet.ApprovalApproved, CreatedAt: now,
		Lifetime: time.Hour, ExpiresAt: later.Add(time.Hour), DecidedBy: "bob", DeciderIdentity: "identity-of-bob", DecidedAt: later, Comment: "yes",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
	if got.Request.Digest() != request.Digest() {
		t.Error("what is kept is another request")
	}
}

// Of any number who decide on an approval, or use it, at once, one does.
func TestApprovalChangesOnceUnderAnyRace(t *testing.T) {
	c, _ := open(t)
	asked := ask(t, c, fleet.GuardedRequest{Action: fleet.ActionDownload, Requester: "ada"})
	bob := fleet.Caller{Kind: fleet.CallerUser, Name: "bob", Identity: "b"}
	once := func(what string, change func(i int) error) {
		var won atomic.Int32
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				switch err := change(i); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, fleet.ErrConflict):
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%s: %d of 50", what, won.Load())
		}
	}
	once("decided", func(int) error {
		return c.Approvals.Decide(t.Context(), asked.ID, fleet.ApprovalApproved, bob, "", now)
	})
	once("used", func(i int) error {
		return c.Approvals.Use(t.Context(), asked.ID, []fleet.ApprovalState{fleet.ApprovalUsed, fleet.ApprovalInUse}[i%2], now)
	})
}

func TestApprovalCanNotBeUsedBeforeItsTimeOrAfter(t *testing.T) {
	c, _ := open(t)
	request := fleet.GuardedRequest{Action: fleet.ActionDownload, Requester: "ada"}
	asked := ask(t, c, request)
	bob := fleet.Caller{Kind: fleet.CallerUser, Name: "bob", Identity: "b"}
	use := func(at time.Time) error { return c.Approvals.Use(t.Context(), asked.ID, fleet.ApprovalUsed, at) }
	if err := use(now); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("used while it waits: %v", err)
	}
	if err := c.Approvals.Decide(t.Context(), asked.ID, fleet.ApprovalApproved, bob, "", asked.ExpiresAt); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("approved when it had expired: %v", err)
	}
	if err := c.Approvals.Decide(t.Context(), asked.ID, fleet.ApprovalApproved, bob, "", now); err != nil {
		t.Fatal(err)
	}
	if err := use(now.Add(time.Hour)); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("used when it had expired: %v", err)
	}
	if err := use(now.Add(time.Hour - time.Microsecond)); err != nil {
		t.Errorf("used in its last moment: %v", err)
	}
}

func TestPolicyIsKeptAsItIs(t *testing.T) {
	c, _ := open(t)
	want := fleet.Policy{
		Glob: "prod-*", RequireApproval: []fleet.GuardedAction{fleet.ActionDownload}, RequireReason: []fleet.GuardedAction{fleet.ActionReplace},
		ApprovalTTL: 90 * time.Second, UpdatedBy: "ada", UpdatedAt: now,
	}
	for _, p := range []fleet.Policy{{Glob: "prod-*", RequireReason: []fleet.GuardedAction{fleet.ActionRelease}, UpdatedAt: now}, want} {
		if err := c.Policies.Set(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Policies.List(t.Context())
	if diff := cmp.Diff([]fleet.Policy{want}, got); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
	if err := c.Policies.Remove(t.Context(), "prod-*"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Policies.List(t.Context()); len(got) != 0 || err != nil {
		t.Errorf("after its removal there are %v, %v", got, err)
	}
}
