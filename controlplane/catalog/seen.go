package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// personAs returns a person whose rights are about to change, within the transaction that changes
// them. Somebody who was revoked has none to change, and where it is known as whom they were seen,
// they must still match: fleet.ErrConflict.
func personAs(ctx context.Context, tx *sql.Tx, name string, seen *fleet.Seen) (fleet.User, error) {
	u, err := scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE name = ?`, name))
	if err != nil {
		return u, missing(err, "user %q", name)
	}
	if !u.RevokedAt.IsZero() {
		return u, fleet.NewProblem(fleet.ErrConflict, "%s was revoked at %s", name, u.RevokedAt.Format(time.RFC3339)).
			WithHint("pgharbor users invite %s --role ROLE", name)
	}
	if u.Grants, err = grants(ctx, tx, name); err != nil || seen == nil {
		return u, err
	}
	id := func(r row) (id string, err error) { return id, r.Scan(&id) }
	devices, err := collect(ctx, tx, id, `SELECT id FROM identities WHERE kind = 'user' AND name = ? AND revoked_at IS NULL`, name)
	if err != nil {
		return u, err
	}
	return u, seen.Still(u, devices)
}
