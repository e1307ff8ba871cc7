package server

import (
	"context"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgharbor/pgharbor/controlplane/api"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
	"github.com/pgharbor/pgharbor/controlplane/notify"
	"github.com/pgharbor/pgharbor/internal/secretfile"
)

// DefaultHeartbeatURLEvery is how often the heartbeat URL is called.
const DefaultHeartbeatURLEvery = time.Minute

// newNotifier looks at the fleet as often as an agent would count as silent.
func newNotifier(c Config, store *catalog.Catalog, evaluator *health.Evaluator) (*notify.Notifier, error) {
	n := &notify.Notifier{Catalog: store, Evaluator: evaluator, Log: c.Log, Now: c.Now, Every: fleet.HeartbeatsMissed * c.Heartbeat, Started: c.Now().UTC()}
	if target, err := url.Parse(c.HeartbeatURL); c.HeartbeatURL != "" && (err != nil || target.Host == "") {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "--dead-mans-switch must be a URL, https://…")
	}
	if c.AlertsFile == "" {
		return n, nil
	}
	var err error
	n.Channels, err = notify.Load(c.AlertsFile, c.Now)
	if err != nil {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "--alerts: %v", err).WithHint("docs/alerts.md has an example")
	}
	for _, exposed := range notify.Exposed(c.AlertsFile) {
		c.Log.Warn("a file with a secret is not private", "error", exposed, "hint", secretfile.Remedy)
	}
	return n, nil
}

// watch runs what tells people of the fleet, in the group.
func watch(ctx context.Context, group *errgroup.Group, c Config, a *api.API) {
	group.Go(func() error { a.Notifier.Run(ctx); return nil })
	if c.HeartbeatURL == "" {
		return
	}
	beats := &notify.Heartbeat{URL: c.HeartbeatURL, Every: c.HeartbeatURLEvery, Log: c.Log, Alive: func(ctx context.Context) error {
		_, err := a.Evaluator.Fleet(ctx, health.Query{})
		return err
	}}
	group.Go(func() error { beats.Run(ctx); return nil })
}
