package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const deviceColumns = `id, device, created_at, last_seen_at, revoked_at`

func scanDevice(r row) (d fleet.Device, err error) {
	err = r.Scan(&d.ID, &d.Name, instant{&d.EnrolledAt}, instant{&d.LastSeenAt}, instant{&d.RevokedAt})
	return d, err
}

// List returns the devices of a person, the newest first, revoked ones
// included. Somebody who is not there is fleet.ErrNotFound.
func (s Devices) List(ctx context.Context, user string) ([]fleet.Device, error) {
	if _, err := userOf(ctx, s.db, user); err != nil {
		return nil, err
	}
	return collect(ctx, s.db, scanDevice,
		`SELECT `+deviceColumns+` FROM identities WHERE kind = 'user' AND name = ? ORDER BY created_at DESC, id`, user)
}

// Get returns one device of a person, or fleet.ErrNotFound.
func (s Devices) Get(ctx context.Context, user, id string) (fleet.Device, error) {
	d, err := scanDevice(s.db.QueryRowContext(ctx, `SELECT `+deviceColumns+` FROM identities WHERE id = ? AND kind = 'user' AND name = ?`, id, user))
	return d, missing(err, "device %q of %s", id, user)
}

// Revoke ends one device of a person, and the open invites that were made with
// it; a second time changes nothing. The last device of the last OWNER stays:
// fleet.ErrConflict.
func (s Devices) Revoke(ctx context.Context, user, id, by string, now time.Time) (device fleet.Device, err error) {
	err = s.within(ctx, func(tx *sql.Tx) error {
		return keepingAnOwner(ctx, tx, user, func() error {
			device, err = scanDevice(tx.QueryRowContext(ctx, `
				UPDATE identities SET revoked_at = coalesce(revoked_at, ?) WHERE id = ? AND kind = 'user' AND name = ?
				RETURNING `+deviceColumns, micros(now), id, user))
			if err != nil {
				return missing(err, "device %q of %s", id, user)
			}
			return voidMadeOn(ctx, tx, user, id, by, now)
		})
	})
	return device, err
}

// SignIn notes that a device was seen. The first time is an entry of the audit log, in the same
// transaction.
func (s Devices) SignIn(ctx context.Context, who fleet.Caller, now time.Time) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		var before time.Time
		err := tx.QueryRowContext(ctx, `SELECT last_seen_at FROM identities WHERE id = ?`, who.Identity).Scan(instant{&before})
		if err != nil {
			return missing(err, "device %q", who.Identity)
		}
		if before.IsZero() {
			_, err := appendAudit(ctx, tx, chain.Entry{
				At: now, Actor: who.String(), Action: "device.sign-in", Target: "device:" + who.Identity,
				Outcome: chain.OutcomeSucceeded, Detail: who.Device,
			})
			if err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE identities SET last_seen_at = ? WHERE id = ?`, micros(now), who.Identity)
		return err
	})
}
