package catalog

import (
	"context"
	"database/sql"

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
