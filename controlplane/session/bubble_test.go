package session_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/session"
)

// inBubble returns a registry on the catalog of a folder that gives jobs up by
// the time of the synctest bubble in which it is called.
func inBubble(t *testing.T, folder string) *session.Registry {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(folder, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	r := &session.Registry{
		Catalog: c, Notifications: &session.Notifications{}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Heartbeat: 10 * time.Second,
	}
	ctx, cancel := context.WithCancel(t.Context())
	var expiring sync.WaitGroup
	expiring.Go(func() { r.ExpireJobs(ctx) })
	t.Cleanup(func() {
		cancel()
		expiring.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}
