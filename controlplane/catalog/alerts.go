package catalog

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func scanAlert(r row) (a fleet.Alert, err error) {
	return a, r.Scan(&a.Instance, &a.Database, &a.Verdict, &a.Text, &a.NextStep,
		instant{&a.Since}, instant{&a.FiredAt}, instant{&a.ToldAt}, instant{&a.ClearedAt})
}

// List returns what is wrong by the last look, and what was until lately.
func (s Alerts) List(ctx context.Context, scope fleet.Scope) ([]fleet.Alert, error) {
	var f filter
	f.scope("instance", scope)
	return collect(ctx, s.db, scanAlert, `SELECT instance, database, verdict, text, next_step, since, fired_at, told_at, cleared_at
		FROM alerts`+f.sql()+` ORDER BY instance, database, verdict`, f.args...)
}

// TakeStep keeps what a look has changed together with what must be told of it: neither without the
// other, however the control plane ends. What nobody is told of, such as an age in a text, follows
// a few hundred rows at a time.
func (s Alerts) TakeStep(ctx context.Context, step fleet.AlertStep, notifications []fleet.Notification) error {
	told := map[fleet.AlertKey]bool{}
	for _, news := range step.News() {
		told[news.AlertKey] = true
	}
	drop, quietDrop := apart(step.Drop, func(key fleet.AlertKey) bool { return told[key] })
	keep, quietKeep := apart(step.Keep, func(a fleet.Alert) bool { return told[a.AlertKey] })
	if len(told)+len(notifications) > 0 {
		err := s.reports.within(ctx, func(tx *sql.Tx) error {
			if err := takeAlerts(ctx, tx, drop, keep); err != nil {
				return err
			}
			return queueNotifications(ctx, tx, notifications)
		})
		if err != nil {
			return err
		}
	}
	for part := range slices.Chunk(quietDrop, reportRows) {
		if err := s.reports.within(ctx, func(tx *sql.Tx) error { return takeAlerts(ctx, tx, part, nil) }); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(quietKeep, reportRows) {
		if err := s.reports.within(ctx, func(tx *sql.Tx) error { return takeAlerts(ctx, tx, nil, part) }); err != nil {
			return err
		}
	}
	return nil
}

// apart are the items for which is holds, and the others.
func apart[T any](all []T, is func(T) bool) (those, others []T) {
	for _, one := range all {
		if is(one) {
			those = append(those, one)
		} else {
			others = append(others, one)
		}
	}
	return those, others
}

func takeAlerts(ctx context.Context, tx *sql.Tx, drop []fleet.AlertKey, keep []fleet.Alert) error {
	for _, key := range drop {
		_, err := tx.ExecContext(ctx, `DELETE FROM alerts WHERE instance = ? AND database = ? AND verdict = ?`, key.Instance, key.Database, key.Verdict)
		if err != nil {
			return err
		}
	}
	for _, a := range keep {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO alerts (instance, database, verdict, text, next_step, since, fired_at, told_at, cleared_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET text = excluded.text, next_step = excluded.next_step,
			fired_at = excluded.fired_at, told_at = excluded.told_at, cleared_at = excluded.cleared_at`,
			a.Instance, a.Database, a.Verdict, a.Text, a.NextStep, micros(a.Since), micros(a.FiredAt), micros(a.ToldAt), micros(a.ClearedAt))
		if err != nil {
			return err
		}
	}
	return nil
}

// told is the body of a notification.
type told struct {
	News []fleet.News `json:"news"`
	More int          `json:"more,omitempty"`
}

// read takes the news alone too, as a release before queued them.
func (t *told) read(body []byte) error {
	if bytes.HasPrefix(body, []byte("[")) {
		return json.Unmarshal(body, &t.News)
	}
	return json.Unmarshal(body, t)
}

func queueNotifications(ctx context.Context, tx *sql.Tx, notifications []fleet.Notification) error {
	for _, n := range notifications {
		body, err := json.Marshal(told{n.News, n.More})
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO notifications (id, channel, body, created_at, next_at) VALUES (?, ?, ?, ?, ?)`,
			n.ID, n.Channel, string(body), micros(n.CreatedAt), micros(n.NextAt))
		if err != nil {
			return err
		}
	}
	return nil
}

// Due returns what must be delivered by now, oldest first.
func (s Notifications) Due(ctx context.Context, now time.Time) ([]fleet.Notification, error) {
	scan := func(r row) (n fleet.Notification, err error) {
		var body []byte
		if err := r.Scan(&n.ID, &n.Channel, &body, instant{&n.CreatedAt}, &n.Attempts, instant{&n.NextAt}); err != nil {
			return n, err
		}
		var of told
		err = of.read(body)
		n.News, n.More = of.News, of.More
		return n, err
	}
	return collect(ctx, s.db, scan, `SELECT id, channel, body, created_at, attempts, next_at FROM notifications WHERE next_at <= ? ORDER BY created_at, id`,
		micros(now))
}

// Delivered forgets a notification.
func (s Notifications) Delivered(ctx context.Context, id string) error {
	_, err := s.reports.ExecContext(ctx, `DELETE FROM notifications WHERE id = ?`, id)
	return err
}

// Failed puts a notification off.
func (s Notifications) Failed(ctx context.Context, id string, next time.Time) error {
	_, err := s.reports.ExecContext(ctx, `UPDATE notifications SET attempts = attempts + 1, next_at = ? WHERE id = ?`, micros(next), id)
	return err
}
