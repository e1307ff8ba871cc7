// Package notify tells people what is wrong with the fleet, over the channels
// that the control plane is configured with: what fires, a reminder a day, and
// that it is over.
package notify

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
)

const (
	// A delivery that failed is tried again after a pause that doubles, and given up after a day:
	// the reminder reports what is still wrong.
	firstRetry = 10 * time.Second
	lastRetry  = time.Hour
	giveUpFor  = 24 * time.Hour
	// deliverWithin bounds one attempt.
	deliverWithin = 20 * time.Second
)

// Channel is a way to tell somebody.
type Channel interface {
	// Name is what the configuration calls it.
	Name() string
	// Deliver returns nil once the other side has taken the notification. A failure
	// that another attempt can't mend wraps ErrRefused.
	Deliver(ctx context.Context, n fleet.Notification) error
}

// ErrRefused reports that the other side will not take the notification.
var ErrRefused = errors.New("refused")

// Notifier looks at the fleet and reports what has changed. Its fields are set before Run.
type Notifier struct {
	Catalog   *catalog.Catalog
	Evaluator *health.Evaluator
	Channels  []Channel
	Log       *slog.Logger
	Now       func() time.Time
	// Every is the time between two looks; what is wrong at two in a row fires.
	Every time.Duration
	// Started is when the control plane began to serve. What is known of an agent is
	// old news then, and no alert before it has had fleet.ReconnectWithin to come back.
	Started time.Time
}

// Run looks and delivers until ctx ends.
func (n *Notifier) Run(ctx context.Context) {
	ticker := time.NewTicker(n.Every)
	defer ticker.Stop()
	for {
		if err := n.Look(ctx); err != nil && ctx.Err() == nil {
			n.Log.Error("the fleet could not be looked at for alerts", "error", err)
		}
		n.Deliver(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Look evaluates the fleet and queues the news for every channel.
func (n *Notifier) Look(ctx context.Context) error {
	report, err := n.Evaluator.Fleet(ctx, health.Query{})
	if err != nil {
		return err
	}
	known, err := n.Catalog.Alerts.List(ctx, nil)
	if err != nil {
		return err
	}
	now := n.Now().UTC()
	step := fleet.StepAlerts(known, n.current(report.Statuses, now), now)
	if len(n.Channels) == 0 {
		step = step.Untold(known)
	}
	var queued []fleet.Notification
	if news := step.News(); len(news) > 0 {
		for _, channel := range n.Channels {
			queued = append(queued, fleet.Notification{ID: fleet.NewID(), Channel: channel.Name(), News: news, More: step.More, CreatedAt: now, NextAt: now})
		}
		n.Log.Info("alerts", "firing", len(step.Firing), "reminders", len(step.Reminders), "resolved", len(step.Resolved), "later", step.More)
	}
	return n.Catalog.Alerts.TakeStep(ctx, step, queued)
}

// current leaves out the agents that may still be on their way back after a start
// of the control plane.
func (n *Notifier) current(all []*fleet.DatabaseStatus, now time.Time) (current []fleet.DatabaseStatus) {
	for _, j := range all {
		waits := now.Sub(n.Started) < fleet.ReconnectWithin && !j.Agent.LastSeenAt.IsZero() && j.Agent.LastSeenAt.Before(n.Started)
		if !waits {
			current = append(current, *j)
		}
	}
	return current
}

// Deliver tries what is due. A channel that does not answer delays the others by
// deliverWithin at most, each time it is tried: the rest of what is due on it is put
// off with the first that failed.
func (n *Notifier) Deliver(ctx context.Context) {
	due, err := n.Catalog.Notifications.Due(ctx, n.Now().UTC())
	if err != nil {
		n.Log.Error("notifications could not be read", "error", err)
		return
	}
	putOff := map[string]time.Time{} // by channel
	for _, notification := range due {
		var err error
		if next, failed := putOff[notification.Channel]; failed {
			err = n.Catalog.Notifications.Failed(ctx, notification.ID, next)
		} else {
			err = n.deliver(ctx, notification, putOff)
		}
		if err != nil && ctx.Err() == nil {
			n.Log.Error("a notification could not be put off or forgotten", "notification", notification.ID, "error", err)
		}
	}
}

func (n *Notifier) deliver(ctx context.Context, notification fleet.Notification, putOff map[string]time.Time) error {
	log := n.Log.With("notification", notification.ID, "channel", notification.Channel)
	channel := n.channel(notification.Channel)
	if channel == nil {
		log.Warn("a notification is dropped: its channel is no longer configured")
		return n.Catalog.Notifications.Delivered(ctx, notification.ID)
	}
	trying, cancel := context.WithTimeout(ctx, deliverWithin)
	defer cancel()
	err := channel.Deliver(trying, notification)
	if err == nil {
		return n.Catalog.Notifications.Delivered(ctx, notification.ID)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := n.Now().UTC()
	if errors.Is(err, ErrRefused) || now.Sub(notification.CreatedAt) >= giveUpFor {
		log.Error("a notification is given up", "attempts", notification.Attempts+1, "error", err)
		return n.Catalog.Notifications.Delivered(ctx, notification.ID)
	}
	next := now.Add(retryAfter(notification.Attempts))
	log.Warn("a notification was not delivered; it is tried again", "at", next, "error", err)
	putOff[notification.Channel] = next
	return n.Catalog.Notifications.Failed(ctx, notification.ID, next)
}

func (n *Notifier) channel(name string) Channel {
	for _, channel := range n.Channels {
		if channel.Name() == name {
			return channel
		}
	}
	return nil
}

// retryAfter is the pause after so many failed attempts before this one.
func retryAfter(attempts int) time.Duration {
	return min(firstRetry<<min(attempts, 20), lastRetry)
}

// Outcome is how a test of a channel ended.
type Outcome struct {
	Channel string
	Err     error
}

// Test sends a message to every channel at once, past the queue.
func (n *Notifier) Test(ctx context.Context, by string) []Outcome {
	now := n.Now().UTC()
	alert := fleet.Alert{Text: "a test by " + by + "; nothing is wrong", Since: now, FiredAt: now}
	outcomes := make([]Outcome, len(n.Channels))
	var trying sync.WaitGroup
	for i, channel := range n.Channels {
		trying.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, deliverWithin)
			defer cancel()
			err := channel.Deliver(ctx, fleet.Notification{
				ID: fleet.NewID(), Channel: channel.Name(), CreatedAt: now, News: []fleet.News{{Kind: fleet.NewsTest, Alert: alert}},
			})
			outcomes[i] = Outcome{Channel: channel.Name(), Err: err}
		})
	}
	trying.Wait()
	return outcomes
}
