package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const backupColumns = `id, instance, kind, subject, database, state, created_at, complete, size_bytes, removed_at, removed_for,
	retention_status, retention_expires, retention_reason, manifest, held, hold_reason, held_by, scrubbed_at, iif(damage = '', suspect, damage), proof`

func scanBackup(r row) (b fleet.Backup, err error) {
	var manifest, testRestore []byte
	err = r.Scan(&b.ID, &b.Instance, &b.Kind, &b.Subject, &b.Database, &b.State, instant{&b.CreatedAt}, &b.Complete, &b.SizeBytes,
		instant{&b.RemovedAt}, &b.RemovedFor, &b.Retention.Status, instant{&b.Retention.ExpiresAt}, &b.Retention.Reason, &manifest,
		&b.Held, &b.HoldReason, &b.HeldBy, instant{&b.ScrubbedAt}, &b.Damage, &testRestore)
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(testRestore, &b.TestRestore); err != nil {
		return b, err
	}
	return b, json.Unmarshal(manifest, &b.Manifest)
}

// BackupQuery selects backups; empty fields select all that were not removed.
type BackupQuery struct {
	Page           Page
	Instance       string
	Database       string
	Since          time.Time
	IncludeRemoved bool
	// Scope limits them to the instances that the caller may see.
	Scope fleet.Scope
}

// listedColumns are those of a backup in a list, without its tables and roles, of
// which there may be very many.
var listedColumns = strings.Replace(backupColumns, "manifest,", `json_remove(manifest, '$.tables', '$.globals.roles'),`, 1)

// List returns a page of backups, newest first and without their tables and roles,
// and the token of the next.
func (s Backups) List(ctx context.Context, q BackupQuery) ([]fleet.Backup, string, error) {
	var f filter
	f.instance("instance", q.Instance)
	if q.Database != "" {
		f.where(`database = ?`, q.Database)
	}
	if !q.Since.IsZero() {
		f.where(`created_at >= ?`, micros(q.Since))
	}
	if !q.IncludeRemoved {
		f.where(`state <> 'removed'`)
	}
	f.scope("instance", q.Scope)
	if err := f.page(q.Page, "created_at"); err != nil {
		return nil, "", err
	}
	position := func(b fleet.Backup) (time.Time, string) { return b.CreatedAt, b.ID }
	return paged(ctx, s.db, scanBackup, q.Page, position, `SELECT `+listedColumns+` FROM backups`+f.sql()+
		fmt.Sprintf(` ORDER BY created_at DESC, id DESC LIMIT %d`, q.Page.limit()+1), f.args...)
}

// Get returns one backup, or fleet.ErrNotFound.
func (s Backups) Get(ctx context.Context, id string) (fleet.Backup, error) {
	b, err := scanBackup(s.db.QueryRowContext(ctx, `SELECT `+backupColumns+` FROM backups WHERE id = ?`, id))
	return b, missing(err, "backup %q", id)
}

// recordBackup keeps a backup as its agent describes it. What was removed stays removed and what is
// damaged stays so: a late report does not bring it back. One that becomes suspect is in the audit
// log by that.
func (s *shared) recordBackup(ctx context.Context, tx *sql.Tx, b fleet.Backup) error {
	manifest, err := json.Marshal(b.Manifest)
	if err != nil {
		return err
	}
	suspected, err := suspected(ctx, tx, b)
	if err != nil {
		return err
	}
	if err := s.roomForBackup(ctx, tx, b.Instance, b.ID, len(manifest)); err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO backups (id, instance, kind, subject, database, state, created_at, complete, size_bytes,
			retention_status, retention_expires, retention_reason, manifest, sequence, signed_by, suspect)
		VALUES (?, ?, ?, ?, ?, iif(? = '', 'present', 'damaged'), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET
			state = iif(backups.state = 'removed', 'removed', iif(backups.suspect || excluded.suspect || backups.damage = '', 'present', 'damaged')),
			suspect = iif(backups.suspect = '', excluded.suspect, backups.suspect),
			complete = excluded.complete,
			retention_status = excluded.retention_status,
			retention_expires = excluded.retention_expires,
			retention_reason = excluded.retention_reason
		WHERE backups.instance = excluded.instance`,
		b.ID, b.Instance, b.Series().Kind.Word(), b.Series().Subject.Word(), b.Database, b.Suspect, micros(b.CreatedAt), b.Complete, b.SizeBytes,
		b.Retention.Status, micros(b.Retention.ExpiresAt), b.Retention.Reason, string(manifest),
		b.Manifest.Sequence, b.Manifest.SignedBy, b.Suspect)
	if err := owned(result, err, b.Instance, "backup "+b.ID); err != nil || !suspected {
		return err
	}
	return s.tellSuspect(ctx, tx, b)
}

// RecordRemoved records that an agent's retention removed a backup, when and why by its word, and
// that it was told now: for how long it is kept counts from there.
func (s Backups) RecordRemoved(ctx context.Context, instance, id, reason string, at, now time.Time) error {
	_, err := s.reports.ExecContext(ctx,
		`UPDATE backups SET state = 'removed', removed_at = ?, removed_for = ?, removal_told_at = ? WHERE id = ? AND instance = ? AND state <> 'removed'`,
		micros(at), reason, micros(now), id, instance)
	return err
}

// TakeInventory makes the catalog agree with the whole inventory of an agent:
// what it has is present or damaged, what the catalog knew beyond that is missing. The
// digest is the agent's own and is kept to tell whether it changed. Backups of
// other instances, and those that its share has no room for, are passed over; why is
// returned.
//
// It is written a few hundred rows at a time, each of which is true for itself. The digest comes
// last: what was interrupted is asked for again.
func (s Backups) TakeInventory(ctx context.Context, instance, digest string, backups []fleet.Backup) (refused []error, err error) {
	names := map[string]error{}
	listed := make(map[string]bool, len(backups))
	for chunk := range parts(backups) {
		room := chunk[:0:0]
		for _, b := range chunk {
			listed[b.ID] = true
			no, asked := names[b.Database]
			if !asked {
				no = s.roomForDatabase(ctx, instance, b.Database)
				if no != nil && !errors.Is(no, fleet.ErrDenied) {
					return nil, no
				}
				names[b.Database] = no
			}
			if no != nil {
				refused = append(refused, no)
				continue
			}
			room = append(room, b)
		}
		no, err := s.takePart(ctx, room)
		if err != nil {
			return nil, err
		}
		refused = append(refused, no...)
	}
	if err := s.markMissing(ctx, instance, listed); err != nil {
		return nil, err
	}
	_, err = s.reports.ExecContext(ctx, `UPDATE agents SET inventory_digest = ? WHERE name = ?`, digest, instance)
	return refused, err
}

// parts cuts an inventory into what one transaction writes. A hundred tables in a
// manifest are as much work as a row.
func parts(backups []fleet.Backup) iter.Seq[[]fleet.Backup] {
	return func(yield func([]fleet.Backup) bool) {
		for len(backups) > 0 {
			n := 0
			for work := 0; n < len(backups) && work < reportRows; n++ {
				work += 1 + len(backups[n].Manifest.Tables)/100
			}
			if !yield(backups[:n]) {
				return
			}
			backups = backups[n:]
		}
	}
}

// takePart keeps a part of an inventory.
func (s Backups) takePart(ctx context.Context, part []fleet.Backup) (refused []error, err error) {
	err = s.reports.within(ctx, func(tx *sql.Tx) error {
		for _, b := range part {
			err := s.recordBackup(ctx, tx, b)
			if err == nil {
				err = recordFindings(ctx, tx, b)
			}
			if errors.Is(err, fleet.ErrDenied) {
				refused = append(refused, err)
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	return refused, err
}

// markMissing marks what an agent no longer lists.
func (s Backups) markMissing(ctx context.Context, instance string, listed map[string]bool) error {
	scan := func(r row) (id string, err error) { return id, r.Scan(&id) }
	known, err := collect(ctx, s.db, scan, `SELECT id FROM backups WHERE instance = ? AND state IN ('present', 'damaged')`, instance)
	if err != nil {
		return err
	}
	gone := slices.DeleteFunc(known, func(id string) bool { return listed[id] })
	for part := range slices.Chunk(gone, reportRows) {
		ids, err := list(part)
		if err != nil {
			return err
		}
		_, err = s.reports.ExecContext(ctx, `UPDATE backups SET state = 'missing'
			WHERE instance = ? AND state IN ('present', 'damaged') AND id IN (SELECT value FROM json_each(?))`, instance, ids)
		if err != nil {
			return err
		}
	}
	return nil
}

// RetentionSummary returns what an instance keeps, a row a database. A sum of sizes
// that no number holds is the largest one.
func (s Backups) RetentionSummary(ctx context.Context, instance string) ([]fleet.RetentionSummary, error) {
	scan := func(r row) (s fleet.RetentionSummary, err error) {
		return s, r.Scan(&s.Database, &s.Backups, &s.SizeBytes, &s.Expired, &s.KeptLast, instant{&s.OldestAt}, instant{&s.NewestAt})
	}
	return collect(ctx, s.db, scan, `
		SELECT database, count(*), CAST(min(total(size_bytes), 9.2e18) AS INTEGER), sum(retention_status = 'expired'), sum(retention_status = 'kept-last'),
			min(created_at), max(created_at)
		FROM backups WHERE instance = ? AND state = 'present' GROUP BY database ORDER BY database`, instance)
}
