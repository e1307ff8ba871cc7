package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const userColumns = `name, role, created_at, enrolled_at, revoked_at, instances,
	(SELECT count(*) FROM identities i WHERE i.kind = 'user' AND i.name = users.name AND i.revoked_at IS NULL)`

func scanUser(r row) (u fleet.User, err error) {
	err = r.Scan(&u.Name, &u.Role, instant{&u.CreatedAt}, instant{&u.EnrolledAt}, instant{&u.RevokedAt}, scoped{&u.Instances}, &u.Devices)
	return u, err
}

// List returns every user by name, with their grants.
func (s Users) List(ctx context.Context) ([]fleet.User, error) {
	users, err := collect(ctx, s.db, scanUser, `SELECT `+userColumns+` FROM users ORDER BY name`)
	for i := range users {
		if err == nil {
			users[i].Grants, err = grants(ctx, s.db, users[i].Name)
		}
	}
	return users, err
}

// Get returns one user, or fleet.ErrNotFound.
func (s Users) Get(ctx context.Context, name string) (fleet.User, error) {
	return userOf(ctx, s.db, name)
}

func userOf(ctx context.Context, q queryer, name string) (fleet.User, error) {
	u, err := scanUser(q.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE name = ?`, name))
	if err != nil {
		return u, missing(err, "user %q", name)
	}
	u.Grants, err = grants(ctx, q, name)
	return u, err
}

func grants(ctx context.Context, q queryer, user string) ([]fleet.Grant, error) {
	scan := func(r row) (g fleet.Grant, err error) { return g, r.Scan(&g.Permission, scoped{&g.Instances}) }
	return collect(ctx, q, scan, `SELECT permission, instances FROM grants WHERE user = ? ORDER BY permission`, user)
}

// Grant gives a user a permission; if they have it, its scope becomes that of the new grant.
// Invites to them as they were before are void from then on. If seen is given, they must match it:
// fleet.ErrConflict.
func (s Users) Grant(ctx context.Context, user string, seen *fleet.Seen, g fleet.Grant, by string, now time.Time) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		if _, err := personAs(ctx, tx, user, seen); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO grants (user, permission, instances, granted_by, granted_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET instances = excluded.instances, granted_by = excluded.granted_by, granted_at = excluded.granted_at`,
			user, g.Permission, globs(g.Instances), by, micros(now))
		if err != nil {
			return err
		}
		return voidInvites(ctx, tx, user, by, now)
	})
}

// RevokeGrant takes a permission back that a user was given, or returns
// fleet.ErrNotFound.
func (s Users) RevokeGrant(ctx context.Context, user string, p fleet.Permission) error {
	result, err := s.db.ExecContext(ctx, `DELETE FROM grants WHERE user = ? AND permission = ?`, user, p)
	if err != nil {
		return err
	}
	taken, err := result.RowsAffected()
	if err == nil && taken == 0 {
		return fleet.NewProblem(fleet.ErrNotFound, "%s was not given the permission %q", user, p).
			WithHint("what comes with the role goes with it: pgharbor users set %s --role ROLE", user)
	}
	return err
}

// Change changes the role or the scope of a user. A change of role takes the
// single grants back, which were made to another role. Invites to them as they were
// before are void from then on, and where they are less than before, those that they
// made. The last OWNER stays one, and whom it was decided on is still as they were seen:
// fleet.ErrConflict.
func (s Users) Change(ctx context.Context, name string, change fleet.UserChange, by string, now time.Time) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		u, err := personAs(ctx, tx, name, change.Seen)
		if err != nil {
			return err
		}
		was := u
		if change.Role != "" {
			u.Role = change.Role
		}
		if change.Instances != nil {
			u.Instances = *change.Instances
		}
		return keepingAnOwner(ctx, tx, name, func() error {
			_, err := tx.ExecContext(ctx, `UPDATE users SET role = ?, instances = ? WHERE name = ?`, u.Role, globs(u.Instances), name)
			if err == nil {
				err = voidInvites(ctx, tx, name, by, now)
			}
			if err == nil && (u.Role != was.Role || !was.Instances.Within(u.Instances)) {
				err = voidMadeBy(ctx, tx, name, by, now)
			}
			if err != nil || u.Role == was.Role {
				return err
			}
			_, err = tx.ExecContext(ctx, `DELETE FROM grants WHERE user = ?`, name)
			return err
		})
	})
}

// Revoke ends every enrolment, grant and open invite of a user, and the open
// invites that they made to others: they know their words. The last OWNER who can
// still log in stays: fleet.ErrConflict.
func (s Users) Revoke(ctx context.Context, name string, now time.Time) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		var found string
		if err := tx.QueryRowContext(ctx, `SELECT name FROM users WHERE name = ?`, name).Scan(&found); err != nil {
			return missing(err, "user %q", name)
		}
		return keepingAnOwner(ctx, tx, name, func() error {
			if _, err := tx.ExecContext(ctx, `DELETE FROM grants WHERE user = ?`, name); err != nil {
				return err
			}
			return revoke(ctx, tx, fleet.CallerUser, name, now)
		})
	})
}

// revoke ends the enrolments of a name, and the open invites that are for it or by
// it.
func revoke(ctx context.Context, tx *sql.Tx, kind fleet.CallerKind, name string, now time.Time) error {
	table := "users"
	if kind == fleet.CallerAgent {
		table = "agents"
	}
	statements := []string{
		`UPDATE ` + table + ` SET revoked_at = ?1 WHERE name = ?3 AND ?2 <> ''`,
		`UPDATE identities SET revoked_at = ?1 WHERE kind = ?2 AND name = ?3 AND revoked_at IS NULL`,
		`UPDATE invites SET voided_at = ?1 WHERE (kind = ?2 AND name = ?3 OR created_by = ?2 || ':' || ?3) AND used_at IS NULL AND voided_at IS NULL`,
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement, micros(now), kind, name); err != nil {
			return err
		}
	}
	return nil
}
