package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const agentColumns = `name, created_at, enrolled_at, revoked_at, last_seen_at, version, status, inventory_digest,
	duplicate_host, duplicate_at, clock_offset, refused, refused_count, refused_at`

func scanAgent(r row) (a fleet.Agent, err error) {
	var status []byte
	var offset int64
	err = r.Scan(&a.Name, instant{&a.CreatedAt}, instant{&a.EnrolledAt}, instant{&a.RevokedAt}, instant{&a.LastSeenAt},
		&a.Version, &status, &a.InventoryDigest, &a.Duplicate.Host, instant{&a.Duplicate.At}, &offset,
		&a.Refused.Text, &a.Refused.Count, instant{&a.Refused.At})
	if err != nil {
		return a, err
	}
	a.ClockOffset = time.Duration(offset) * time.Microsecond
	return a, json.Unmarshal(status, &a.Status)
}

// List returns every agent in scope by name, invited and revoked ones
// included.
func (s Agents) List(ctx context.Context, scope fleet.Scope) ([]fleet.Agent, error) {
	var f filter
	f.scope("name", scope)
	return collect(ctx, s.db, scanAgent, `SELECT `+agentColumns+` FROM agents`+f.sql()+` ORDER BY name`, f.args...)
}

// Get returns one agent, or fleet.ErrNotFound.
func (s Agents) Get(ctx context.Context, name string) (fleet.Agent, error) {
	a, err := scanAgent(s.db.QueryRowContext(ctx, `SELECT `+agentColumns+` FROM agents WHERE name = ?`, name))
	return a, missing(err, "instance %q", name)
}

// Enrolment names the enrolment that holds for an instance, for people too; "" if none does.
func (s Agents) Enrolment(ctx context.Context, name string) (string, error) {
	var id string
	var since time.Time
	err := s.db.QueryRowContext(ctx, `SELECT id, created_at FROM identities
		WHERE kind = 'agent' AND name = ? AND revoked_at IS NULL ORDER BY created_at DESC LIMIT 1`, name).Scan(&id, instant{&since})
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id + " since " + since.Format(time.RFC3339), err
}

// RecordSeen records that an agent was heard from.
func (s Agents) RecordSeen(ctx context.Context, name string, now time.Time) error {
	_, err := s.reports.ExecContext(ctx, `UPDATE agents SET last_seen_at = ? WHERE name = ?`, micros(now), name)
	return err
}

// RecordClock records how far an agent's clock is ahead; negative: behind.
func (s Agents) RecordClock(ctx context.Context, name string, ahead time.Duration) error {
	_, err := s.reports.ExecContext(ctx, `UPDATE agents SET clock_offset = ? WHERE name = ?`, ahead.Microseconds(), name)
	return err
}

// RecordStatus records what an agent says of itself, and that it was heard from.
func (s Agents) RecordStatus(ctx context.Context, name, version string, status fleet.AgentStatus, now time.Time) error {
	return s.reports.within(ctx, func(tx *sql.Tx) error {
		if err := seenSince(ctx, tx, name, &status, now); err != nil {
			return err
		}
		text, err := json.Marshal(status)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx,
			`UPDATE agents SET last_seen_at = ?, version = iif(? = '', version, ?), status = ? WHERE name = ?`,
			micros(now), version, version, string(text), name)
		return err
	})
}

// seenSince says of each database of a status since when it is known, by the status before.
func seenSince(ctx context.Context, q queryer, name string, status *fleet.AgentStatus, now time.Time) error {
	var text []byte
	err := q.QueryRowContext(ctx, `SELECT status FROM agents WHERE name = ?`, name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	var before struct {
		Databases []fleet.InstanceDatabase `json:"databases"`
	}
	if err == nil {
		err = json.Unmarshal(text, &before)
	}
	since := map[string]time.Time{}
	for _, d := range before.Databases {
		since[d.Name] = d.SeenSince
	}
	status.Databases = slices.Clone(status.Databases)
	for n, d := range status.Databases {
		at, known := since[d.Name]
		if !known {
			at = now
		}
		status.Databases[n].SeenSince = at
	}
	return err
}

// RecordDuplicate records that a second agent with the identity of one that is connected was
// refused.
func (s Agents) RecordDuplicate(ctx context.Context, name string, d fleet.Duplicate) error {
	_, err := s.reports.ExecContext(ctx, `UPDATE agents SET duplicate_host = ?, duplicate_at = ? WHERE name = ?`, d.Host, micros(d.At), name)
	return err
}

// Revoke ends every enrolment and open invite of an agent. Its backups and
// runs stay listed.
func (s Agents) Revoke(ctx context.Context, name string, now time.Time) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		var found string
		if err := tx.QueryRowContext(ctx, `SELECT name FROM agents WHERE name = ?`, name).Scan(&found); err != nil {
			return missing(err, "agent %q", name)
		}
		return revoke(ctx, tx, fleet.CallerAgent, name, now)
	})
}
