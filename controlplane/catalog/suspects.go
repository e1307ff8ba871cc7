package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// suspectsWithin is for how long the backups of an agent that become suspect have
// entries of their own, as many as its share has backups, and are counted beyond.
const suspectsWithin = 24 * time.Hour

// suspected reports whether a backup that is about to be kept becomes suspect by that.
func suspected(ctx context.Context, tx *sql.Tx, b fleet.Backup) (becomes bool, err error) {
	if b.Suspect == "" {
		return false, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT NOT EXISTS (SELECT 1 FROM backups WHERE id = ? AND suspect <> '')`, b.ID).Scan(&becomes)
	return becomes, err
}

// tellSuspect writes to the audit log that a backup became suspect. Each is an entry, once, and
// what is not kept is none. An agent that makes more of them in a day than its share has backups
// has the rest counted.
func (s *shared) tellSuspect(ctx context.Context, tx *sql.Tx, b fleet.Backup) error {
	if err := tellCounted(ctx, tx, b.Instance, b.SuspectSince); err != nil {
		return err
	}
	var own bool
	err := tx.QueryRowContext(ctx, `
		UPDATE agents SET suspects_since = coalesce(suspects_since, ?2), suspects_told = suspects_told + (suspects_told < ?3),
			suspects_more = suspects_more + (suspects_told >= ?3), suspects_last = ?4
		WHERE name = ?1 RETURNING suspects_more = 0`,
		b.Instance, micros(b.SuspectSince), s.share.Backups, b.ID+": "+b.Suspect).Scan(&own)
	if err != nil || !own {
		return missing(err, "agent %q", b.Instance)
	}
	return appendSuspect(ctx, tx, b.Instance, b.ID, b.Suspect, b.SuspectSince)
}

// tellCounted writes how many backups of an agent became suspect without an entry,
// once a day has gone by since the first.
func tellCounted(ctx context.Context, tx *sql.Tx, instance string, now time.Time) error {
	var since time.Time
	var more int
	var last string
	err := tx.QueryRowContext(ctx, `SELECT suspects_since, suspects_more, suspects_last FROM agents WHERE name = ?`, instance).
		Scan(instant{&since}, &more, &last)
	if err != nil {
		return missing(err, "agent %q", instance)
	}
	if since.IsZero() || now.Sub(since).Abs() < suspectsWithin {
		return nil
	}
	_, err = tx.ExecContext(ctx, `UPDATE agents SET suspects_since = NULL, suspects_told = 0, suspects_more = 0, suspects_last = '' WHERE name = ?`, instance)
	if err != nil || more == 0 {
		return err
	}
	return appendSuspect(ctx, tx, instance, "", fmt.Sprintf("%d more from %s on, the last: %s", more, since.Format(time.RFC3339), last), now)
}

func appendSuspect(ctx context.Context, tx *sql.Tx, instance, backup, detail string, at time.Time) error {
	_, err := appendAudit(ctx, tx, chain.Entry{
		At: at, Actor: "agent:" + instance, Action: "backup.suspect", Instance: instance, Target: backup,
		Outcome: chain.OutcomeDenied, Detail: detail,
	})
	return err
}
