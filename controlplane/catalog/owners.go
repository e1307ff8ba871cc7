package catalog

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// keepingAnOwner makes a change to a person within tx, unless it would take the
// last OWNER away: fleet.ErrConflict. An OWNER counts who has the whole fleet and
// a device to log in with.
func keepingAnOwner(ctx context.Context, tx *sql.Tx, name string, change func() error) error {
	was, err := isOwner(ctx, tx, name)
	if err != nil {
		return err
	}
	if err := change(); err != nil || !was {
		return err
	}
	is, err := isOwner(ctx, tx, name)
	if err != nil || is {
		return err
	}
	var others int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM users WHERE `+ownerCondition).Scan(&others); err != nil {
		return err
	}
	if others == 0 {
		return fleet.NewProblem(fleet.ErrConflict, "%s is the last OWNER of the whole fleet", name).
			WithHint("pgharbor users invite NAME --role OWNER, and let NAME log in first")
	}
	return nil
}

const ownerCondition = `role = 'OWNER' AND instances = '' AND revoked_at IS NULL
	AND EXISTS (SELECT 1 FROM identities i WHERE i.kind = 'user' AND i.name = users.name AND i.revoked_at IS NULL)`

func isOwner(ctx context.Context, tx *sql.Tx, name string) (is bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM users WHERE name = ? AND `+ownerCondition+`)`, name).Scan(&is)
	return is, err
}

// RecoverOwner keeps an invite that makes its holder an OWNER of the whole fleet, by the word of
// anyone who holds the control plane's host. Somebody who is less and has devices is refused with
// fleet.ErrExists: those devices, wherever they are, would become an OWNER's. Anyone who is less
// and has none begins again.
func (s Invites) RecoverOwner(ctx context.Context, i fleet.Invite) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		u, err := scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE name = ?`, i.Name))
		if errors.Is(err, sql.ErrNoRows) {
			return createInvite(ctx, tx, i)
		}
		if err != nil {
			return err
		}
		less := u.RevokedAt.IsZero() && (u.Role != fleet.RoleOwner || !u.Instances.Whole())
		switch {
		case less && u.Devices > 0:
			return fleet.NewProblem(fleet.ErrExists, "%s is %s on %s, and has devices that would become an OWNER's", u.Name, u.Role, u.Instances).
				WithHint("recover with another name: --owner NAME; the new OWNER can then say: pgharbor users set %s --role OWNER", u.Name)
		case less:
			if _, err := tx.ExecContext(ctx, `UPDATE users SET role = 'OWNER', instances = '' WHERE name = ?`, u.Name); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM grants WHERE user = ?`, u.Name); err != nil {
				return err
			}
			if err := voidInvites(ctx, tx, u.Name, i.CreatedBy, i.CreatedAt); err != nil {
				return err
			}
		}
		return createInvite(ctx, tx, i)
	})
}
