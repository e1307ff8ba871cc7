package catalog_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// A release before queued the news alone, without how many more there are.
func TestNotificationsOfAReleaseBeforeAreRead(t *testing.T) {
	c, path := open(t)
	news := []fleet.News{{Kind: fleet.NewsFiring, Alert: fleet.Alert{AlertKey: fleet.AlertKey{Instance: "db1"}, Since: now}}}
	queued := fleet.Notification{ID: "b", Channel: "duty", News: news, More: 3, CreatedAt: now, NextAt: now}
	if err := c.Alerts.TakeStep(t.Context(), fleet.AlertStep{}, []fleet.Notification{queued}); err != nil {
		t.Fatal(err)
	}
	_, err := raw(t, path).ExecContext(t.Context(), `INSERT INTO notifications (id, channel, body, created_at, next_at)
		SELECT 'a', channel, body ->> '$.news', created_at, next_at FROM notifications`)
	if err != nil {
		t.Fatal(err)
	}
	before := queued
	before.ID, before.More = "a", 0
	due, err := c.Notifications.Due(t.Context(), now)
	if diff := cmp.Diff([]fleet.Notification{before, queued}, due); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}
