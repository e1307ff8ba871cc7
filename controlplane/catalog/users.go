package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const userColumns = `name, role, created_at, enrolled_at, revoked_at`

func scanUser(r row) (u fleet.User, err error) {
	err = r.Scan(&u.Name, &u.Role, instant{&u.CreatedAt}, instant{&u.EnrolledAt}, instant{&u.RevokedAt})
	return u, err
}

// Users returns every user by name, with their grants.
func (c *Catalog) Users(ctx context.Context) ([]fleet.User, error) {
	users, err := collect(ctx, c.db, scanUser, `SELECT `+userColumns+` FROM users ORDER BY name`)
	for i := range users {
		if err == nil {
			users[i].Grants, err = c.grants(ctx, users[i].Name)
		}
	}
	return users, err
}

// User returns one user, or fleet.ErrNotFound.
func (c *Catalog) User(ctx context.Context, name string) (fleet.User, error) {
	u, err := scanUser(c.db.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE name = ?`, name))
	if err != nil {
		return u, missing(err, "user %q", name)
	}
	u.Grants, err = c.grants(ctx, name)
	return u, err
}

func (c *Catalog) grants(ctx context.Context, user string) ([]fleet.Permission, error) {
	scan := func(r row) (p fleet.Permission, err error) { return p, r.Scan(&p) }
	return collect(ctx, c.db, scan, `SELECT permission FROM grants WHERE user = ? ORDER BY permission`, user)
}

// Grant gives a user a permission; a second time changes nothing.
func (c *Catalog) Grant(ctx context.Context, user string, p fleet.Permission, by string, now time.Time) error {
	_, err := c.db.ExecContext(ctx,
		`INSERT INTO grants (user, permission, granted_by, granted_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`, user, p, by, micros(now))
	return err
}

// RevokeUser ends every enrolment, grant and open invite of a user. The last
// OWNER who can still log in stays: fleet.ErrConflict.
func (c *Catalog) RevokeUser(ctx context.Context, name string, now time.Time) error {
	return c.within(ctx, func(tx *sql.Tx) error {
		var role fleet.Role
		err := tx.QueryRowContext(ctx, `SELECT role FROM users WHERE name = ?`, name).Scan(&role)
		if err != nil {
			return missing(err, "user %q", name)
		}
		if role == fleet.RoleOwner {
			var others int
			err := tx.QueryRowContext(ctx, `
				SELECT count(*) FROM users
				WHERE role = 'OWNER' AND revoked_at IS NULL AND enrolled_at IS NOT NULL AND name <> ?`, name).Scan(&others)
			if err != nil {
				return err
			}
			if others == 0 {
				return fleet.NewProblem(fleet.ErrConflict, "%s is the last OWNER", name).
					WithHint("pgharbor users invite NAME --role OWNER, and let NAME log in first")
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM grants WHERE user = ?`, name); err != nil {
			return err
		}
		return revoke(ctx, tx, fleet.CallerUser, name, now)
	})
}

// revoke ends the enrolments and the open invites of a name.
func revoke(ctx context.Context, tx *sql.Tx, kind fleet.CallerKind, name string, now time.Time) error {
	table := "users"
	if kind == fleet.CallerAgent {
		table = "agents"
	}
	statements := []string{
		`UPDATE ` + table + ` SET revoked_at = ?1 WHERE name = ?3 AND ?2 <> ''`,
		`UPDATE identities SET revoked_at = ?1 WHERE kind = ?2 AND name = ?3 AND revoked_at IS NULL`,
		`UPDATE invites SET expires_at = min(expires_at, ?1) WHERE kind = ?2 AND name = ?3 AND used_at IS NULL`,
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement, micros(now), kind, name); err != nil {
			return err
		}
	}
	return nil
}
